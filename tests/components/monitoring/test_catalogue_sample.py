"""Looks at a real home: catalogue, model, store. What is shifted is found, and what is left alone raises nothing."""

import io
import json
import sqlite3
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from monitored_home import CONFIG
from PIL import Image, ImageEnhance, ImageFilter

from components.configuration import load
from components.mlflow_client import connect
from components.monitoring.catalogue_sample import collect
from components.monitoring.measures import measure, track
from components.settings import Settings
from components.spaces.drift_reference import reference_folder
from components.spaces.feature_store import open_store, quiet
from model.errors import CatalogueError, StoreError

pytestmark = pytest.mark.timeout(180)
IMAGES = {f"facts/all/{name}" for name in ("brightness", "contrast", "bytes")}
VECTORS = {f"vectors/all/{name}" for name in ("centroid", "length", "lost_neighbours")}


@pytest.fixture
def look(world, tmp_path):
    """Looks at a catalogue of these Pins, or at the very one of the training; returns drift.json."""

    def at(rows: pa.Table | None = None) -> dict:
        catalogue = world.catalogue if rows is None else world.with_pins("today", rows)
        collect(catalogue, CONFIG, tmp_path / "collected", world.settings)
        return measure(tmp_path / "collected", CONFIG.monitoring)

    return at


def values(drift: dict) -> dict[str, float]:
    return {one["key"]: one["value"] for one in drift["measures"]}


def repainted(rows: pa.Table, change) -> pa.Table:
    images = []
    for data in rows["image"].to_pylist():
        file = io.BytesIO()
        change(Image.open(io.BytesIO(data)).convert("RGB")).save(file, "JPEG", quality=92)
        images.append(file.getvalue())
    return rows.set_column(rows.column_names.index("image"), "image", pa.array(images, pa.binary()))


def reworded(rows: pa.Table, change) -> pa.Table:
    for name in ("title", "description", "caption"):
        texts = [text and change(text) for text in rows[name].to_pylist()]
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(texts, pa.string()))
    return rows


def test_the_very_catalogue_of_the_training_has_not_moved_at_all(world, look):
    drift = look()
    assert drift["over"] == []
    found = values(drift)
    assert {name for name, value in found.items() if value > 1e-6} <= {
        "store/all/newest_vector_hours",
        "vectors/all/centroid",  # of a part of what was published: consent is asked for first
        "vectors/all/lost_neighbours",
    }
    assert found["vectors/all/lost_neighbours"] < 0.02
    assert found["store/all/newest_vector_hours"] == pytest.approx(5, abs=0.2)
    assert drift["pairs"] == 100
    assert len([name for name in found if "/skew/" in name]) == 9


@pytest.mark.parametrize("seed", range(3))
def test_any_half_of_it_raises_no_alarm(world, look, seed):
    half = np.random.default_rng(seed).permutation(world.rows.num_rows)[: world.rows.num_rows // 2]
    assert look(world.rows.take(half))["over"] == []


def test_darkened_images(world, look):
    over = set(look(repainted(world.rows, lambda image: ImageEnhance.Brightness(image).enhance(0.25)))["over"])
    assert {"facts/all/brightness", "facts/all/contrast", "vectors/all/lost_neighbours"} <= over
    assert over <= IMAGES | VECTORS  # texts, formats, sizes and what is served are as they were


def test_blurred_images(world, look):
    drift = look(repainted(world.rows, lambda image: image.filter(ImageFilter.GaussianBlur(8))))
    assert "facts/all/contrast" in drift["over"]
    assert not {"facts/all/brightness", "facts/all/format", "store/all/without_vector"} & set(drift["over"])
    assert values(drift)["vectors/all/lost_neighbours"] > 0.1  # of published Pins, seen through today's images


def test_texts_in_another_script_of_the_same_length(world, look):
    cyrillic = str.maketrans("abcdefghijklmnopqrstuvwxyz", "абцдефгхижклмнопярстувѡхыз")
    drift = look(reworded(world.rows, lambda text: text.lower().translate(cyrillic)))
    assert "facts/all/script" in drift["over"]
    assert not {"facts/all/title_length", "facts/all/brightness"} & set(drift["over"])


def test_new_pins_without_vectors_that_are_unlike_the_known_ones(world, look):
    known, strange = world.rows.slice(0, 250), world.rows.slice(250)
    strange = repainted(strange, lambda image: Image.new("RGB", image.size, "black"))
    names = pa.array([f"new-{i}" for i in range(strange.num_rows)])
    strange = strange.set_column(strange.column_names.index("pin_id"), "pin_id", names)
    drift = look(pa.concat_tables([known, strange]))
    assert {"store/all/without_vector", "facts/new/brightness"} <= set(drift["over"])
    found = values(drift)
    assert found["vectors/new/centroid"] > 4 * found["vectors/all/centroid"]  # what is new is told from what is known
    assert "facts/new/refused" not in found


def test_features_that_are_served_otherwise_than_trained_on(world, look):
    import pandas as pd

    store = open_store(world.settings)
    before = [world.settings.home / "feast" / "online.db"]
    saved = before[0].read_bytes()
    ids = world.rows["pin_id"].to_pylist()
    time = pd.Timestamp.now(tz="UTC")
    rows = pd.DataFrame({"pin_id": ids, "saves": 999, "boards": 1, "created_at": time, "event_timestamp": time})
    try:
        with quiet():
            store.write_to_online_store("pin_stats", rows.assign(created=time))
        over = look()["over"]
    finally:
        before[0].write_bytes(saved)
    assert "store/all/skew/pin_stats__saves" in over
    assert not any("pin_embedding" in key for key in over)


def test_vectors_that_the_online_store_has_lost(world, look):
    file = world.settings.home / "feast" / "online.db"
    saved = file.read_bytes()
    try:
        with sqlite3.connect(file) as connection:
            connection.execute(f'DELETE FROM "pinclip_pin_embedding_{world.space}"')
        over = look()["over"]
    finally:
        file.write_bytes(saved)
    assert "store/all/without_vector" in over
    assert f"store/all/skew/pin_embedding_{world.space}__vector" in over


def test_figures_and_page_are_in_mlflow_once(world, look, tmp_path):
    drift = look()
    (tmp_path / "page").write_text("<p>seen</p>")
    run, again = (track(drift, tmp_path / "page", world.settings) for _ in range(2))
    assert run == again
    client = connect(world.settings)
    logged = client.get_run(run)
    assert client.get_experiment(logged.info.experiment_id).name == "pinclip-monitoring"
    assert logged.info.status == "FINISHED"
    assert logged.data.metrics["over"] == 0
    assert logged.data.metrics["facts/all/brightness"] == 0
    assert "sure/vectors/all/lost_neighbours" in logged.data.metrics
    assert logged.data.tags["pinclip.over"] == "nothing"
    names = {file.path: file for file in client.list_artifacts(run)}
    assert set(names) == {"index.html", "drift.json"}
    assert json.loads((tmp_path / "collected" / "sample.json").read_text())["space"] == drift["space"]


def test_the_reference_names_no_pin(world):
    import pyarrow.parquet as pq

    folder = reference_folder(world.space, world.settings)
    kept = pq.read_table(folder / "facts.parquet")
    assert "pin_id" not in kept.column_names
    assert kept.num_rows == (kept["refused"].to_pylist().count("no"))


def test_without_a_space_there_is_nothing_to_look_at(world, tmp_path):
    with pytest.raises(StoreError, match=r"No space is published in .* run the pipeline first"):
        collect(world.catalogue, CONFIG, tmp_path / "out", Settings(home=tmp_path / "empty"))
    assert not (tmp_path / "out").exists()


def test_a_space_without_reference_is_told(world, tmp_path):
    folder = reference_folder(world.space, world.settings)
    folder.rename(tmp_path / "away")
    try:
        with pytest.raises(StoreError, match=f"nothing to compare the space {world.space} with"):
            collect(world.catalogue, CONFIG, tmp_path / "out", world.settings)
    finally:
        (tmp_path / "away").rename(folder)


def test_a_catalogue_that_cannot_be_read_at_all_is_a_sentence(world, look):
    broken = world.rows.set_column(1, "image", pa.array([b"-"] * world.rows.num_rows, pa.binary()))
    with pytest.raises(CatalogueError, match="None of the"):
        look(broken)


def test_a_catalogue_that_cannot_be_looked_at_is_told(world, webhook, monkeypatch, tmp_path):
    """By the step itself: the later ones never start."""
    from components.steps import collect as step

    monkeypatch.setenv("PINCLIP_HOME", str(world.settings.home))
    gone, collected = tmp_path / "<gone>", SimpleNamespace(path=str(tmp_path / "out"), metadata={})
    with pytest.raises(CatalogueError, match="There is no catalogue at"):
        step.collect.python_func(str(gone), {}, {}, {}, collected)
    (notice,) = webhook.messages
    assert "the catalogue cannot be looked at: There is no catalogue at" in notice["text"]
    assert "<" not in json.dumps(notice)


def test_the_limits_are_checked():
    from model.errors import ConfigError

    for wrong in ({"pins": 0}, {"max_shift": 1.5}, {"cooldown_hours": -1.0}, {"max_skew": -0.1}):
        with pytest.raises(ConfigError, match=r"monitoring\."):
            load("demo", [f"monitoring.{key}={value}" for key, value in wrong.items()])
