"""Publishing into a real Feast on SQLite and duckdb, next to a real MLflow registry."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import feature_store
from components.feature_store import feature_definitions, open_store, publish
from components.gate import Verdict
from components.registry import Registration
from components.settings import Settings
from components.tracking import connect
from model.errors import StoreError

DIM = 16
LINEAGE = {"catalogue": "catalogue", "catalogue_digest": "c" * 64, "git_rev": "abc", "dvc_md5": ""}
CREATED = datetime(2026, 11, 1, 12, tzinfo=UTC)
REPO = Path(__file__).parents[2] / "feature_repo"


def quantized(folder, seed, pins=230, shards=2, dim=DIM):
    """Codes of pins p0 … in `shards` files; returns (folder, {pin_id: bytes})."""
    codes = np.random.default_rng(seed).integers(-128, 128, (pins, dim), dtype=np.int8)
    vectors = {f"p{i}": row.tobytes() for i, row in enumerate(codes)}
    (folder / "pins").mkdir(parents=True)
    ids = list(vectors)
    for number, part in enumerate(np.array_split(np.arange(pins), shards)):
        names = [ids[i] for i in part]
        table = pa.table({"pin_id": names, "vector": pa.array([vectors[n] for n in names], pa.binary())})
        pq.write_table(table, folder / "pins" / f"{number:05d}.parquet")
    fields = {"scale": 0.0078125, "zero_point": 3, "bits": 8, "dim": dim}
    (folder / "quantization.json").write_text(json.dumps(fields))
    return folder, vectors


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def client(settings):
    client = connect(settings)
    client.create_registered_model("pinclip")
    return client


@pytest.fixture
def registered(client):
    """A new version in the registry, its gate passed or not; no model is needed to publish vectors."""

    def new(passed=True):
        tags = {"pinclip.gate": "passed" if passed else "failed"}
        version = int(client.create_model_version("pinclip", "file:///nowhere", tags=tags).version)
        uri = f"models:/pinclip/{version}"
        return Registration(version, Verdict(passed, ("A reason.",)), "run", uri, CREATED.isoformat())

    return new


def served(settings, service, pin_ids):
    store = open_store(settings)
    answer = store.get_online_features(
        features=store.get_feature_service(service), entity_rows=[{"pin_id": pin_id} for pin_id in pin_ids]
    )
    return answer.to_dict()["vector"]


def moving(settings, client):
    """What follows the newest version: the space of `pin_ranking` and the version of `challenger`."""
    space = open_store(settings).get_feature_service("pin_ranking").tags["space"]
    return space, client.get_model_version_by_alias("pinclip", "challenger").version


def names(listed):
    return sorted(definition.name for definition in listed)


def test_publishes_every_vector_and_moves_what_follows(settings, client, registered, tmp_path):
    registration = registered()
    folder, vectors = quantized(tmp_path / "q", seed=1)
    fractions = []
    publication = publish(folder, registration, LINEAGE, settings, lambda fraction, message: fractions.append(fraction))
    assert (publication.published, publication.pins, publication.checked) == (True, 230, 230)
    assert served(settings, f"pin_ranking_{registration.space}", vectors) == list(vectors.values())
    assert served(settings, "pin_ranking", ["p7", "unknown"]) == [vectors["p7"], None]
    assert moving(settings, client) == (registration.space, registration.version)
    assert fractions == sorted(fractions)


def test_the_view_says_how_to_read_its_bytes(settings, registered, tmp_path):
    registration = registered()
    publish(quantized(tmp_path / "q", seed=2)[0], registration, LINEAGE, settings)
    store = open_store(settings)
    view = store.get_feature_view(f"pin_embedding_{registration.space}")
    expected = {"scale": "0.0078125", "zero_point": "3", "bits": "8", "dim": "16", "catalogue_digest": "c" * 64}
    assert view.tags.items() >= expected.items()
    assert view.tags["model"] == registration.uri
    described = [
        store.get_project(None),
        *store.list_entities(),
        *store.list_feature_views(),
        *store.list_feature_services(),
    ]
    described += [*store.list_data_sources()]
    for definition in described:
        assert definition.description, definition.name
        assert definition.owner, definition.name
        assert definition.tags, definition.name


def test_two_spaces_live_side_by_side(settings, client, registered, tmp_path):
    first, second = registered(), registered()
    old_folder, old = quantized(tmp_path / "a", seed=3)
    new_folder, new = quantized(tmp_path / "b", seed=4)
    publish(old_folder, first, LINEAGE, settings)
    publish(new_folder, second, LINEAGE, settings)
    assert served(settings, f"pin_ranking_{first.space}", ["p1"]) == [old["p1"]]
    assert served(settings, f"pin_ranking_{second.space}", ["p1"]) == [new["p1"]]
    assert served(settings, "pin_ranking", ["p1"]) == [new["p1"]]
    assert moving(settings, client) == (second.space, second.version)


def test_publishing_again_changes_nothing_and_doubles_nothing(settings, registered, tmp_path):
    registration = registered()
    folder, vectors = quantized(tmp_path / "q", seed=5)
    first = publish(folder, registration, LINEAGE, settings)
    before = names(open_store(settings).list_feature_services())
    assert publish(folder, registration, LINEAGE, settings) == first
    store = open_store(settings)
    assert names(store.list_feature_services()) == before
    assert online_rows(settings, registration.space) == len(vectors)
    # Feast refuses to serve a view while it materializes, so one that is served must not be materialized again.
    assert len(store.get_feature_view(f"pin_embedding_{registration.space}").materialization_intervals) == 1


def test_a_lost_online_store_is_one_sentence_and_can_be_rebuilt(client, registered, tmp_path):
    settings, registration = Settings(home=tmp_path / "home", mlflow_uri=client.tracking_uri), registered()
    folder, vectors = quantized(tmp_path / "q", seed=20)
    publish(folder, registration, LINEAGE, settings)
    (settings.home / "feast" / "online.db").unlink()
    with pytest.raises(StoreError, match=r"remove .*json, if it is there, and run the pipeline again") as error:
        publish(folder, registration, LINEAGE, settings)
    Path(str(error.value).split("remove ")[1].split(",")[0]).unlink()
    publish(folder, registration, LINEAGE, settings)
    assert served(settings, "pin_ranking", ["p2"]) == [vectors["p2"]]


def test_a_version_that_failed_its_gate_gets_no_space(settings, client, registered, tmp_path):
    good = registered()
    publish(quantized(tmp_path / "good", seed=6)[0], good, LINEAGE, settings)
    bad = registered(passed=False)
    publication = publish(quantized(tmp_path / "bad", seed=7)[0], bad, LINEAGE, settings)
    assert not publication.published
    assert moving(settings, client) == (good.space, good.version)
    assert f"pin_embedding_{bad.space}" not in names(open_store(settings).list_feature_views())


def test_vectors_that_change_underneath_move_nothing_and_a_rerun_finishes(settings, client, registered, tmp_path):
    good, next_one = registered(), registered()
    publish(quantized(tmp_path / "good", seed=8)[0], good, LINEAGE, settings)
    folder, _ = quantized(tmp_path / "next", seed=9)

    def swap(fraction, message):
        if message == "vectors in the online store":
            for shard in (folder / "pins").iterdir():
                shard.unlink()
            (folder / "pins").rmdir()
            quantized(folder, seed=10, pins=100)

    with pytest.raises(StoreError, match=r"The vector that Feast serves for the Pin 'p0' is not that of"):
        publish(folder, next_one, LINEAGE, settings, swap)
    assert moving(settings, client) == (good.space, good.version)
    assert not feature_definitions().manifest_file(settings.home / "feast", next_one.space).exists()

    publish(folder, next_one, LINEAGE, settings)
    assert moving(settings, client) == (next_one.space, next_one.version)
    assert online_rows(settings, next_one.space) == 100  # none is left of the 230 of the first attempt


def test_a_death_between_reading_back_and_the_switch_moves_nothing(settings, client, registered, tmp_path):
    good, next_one = registered(), registered()
    publish(quantized(tmp_path / "good", seed=11)[0], good, LINEAGE, settings)
    folder, vectors = quantized(tmp_path / "next", seed=12)

    def die(fraction, message):
        if message.endswith("all equal"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(folder, next_one, LINEAGE, settings, die)
    assert moving(settings, client) == (good.space, good.version)
    publish(folder, next_one, LINEAGE, settings)
    assert served(settings, "pin_ranking", ["p5"]) == [vectors["p5"]]


def test_a_published_space_never_takes_other_vectors(settings, registered, tmp_path):
    registration = registered()
    folder, vectors = quantized(tmp_path / "a", seed=13)
    publish(folder, registration, LINEAGE, settings)
    with pytest.raises(StoreError, match="already holds other vectors"):
        publish(quantized(tmp_path / "b", seed=14)[0], registration, LINEAGE, settings)
    assert served(settings, f"pin_ranking_{registration.space}", ["p3"]) == [vectors["p3"]]


def test_a_table_above_the_limit_is_sampled_evenly(settings, registered, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_store, "READ_BACK", 50)
    publication = publish(quantized(tmp_path / "q", seed=15, shards=1)[0], registered(), LINEAGE, settings)
    assert (publication.pins, publication.checked) == (230, 46)  # every fifth


def test_bad_shards_are_one_sentence(settings, registered, tmp_path):
    with pytest.raises(StoreError, match="There are no quantized vectors in"):
        publish(tmp_path, registered(), LINEAGE, settings)
    folder, _ = quantized(tmp_path / "q", seed=16)
    (folder / "quantization.json").write_text('{"scale": 1.0, "zero_point": 0, "bits": 8, "dim": 32}')
    with pytest.raises(StoreError, match=r"holds vectors of 16 bytes, quantization\.json says 32"):
        publish(folder, registered(), LINEAGE, settings)


def test_a_corrupt_registry_is_one_sentence(client, registered, tmp_path):
    settings = Settings(home=tmp_path / "home", mlflow_uri=client.tracking_uri)
    (settings.home / "feast").mkdir(parents=True)
    (settings.home / "feast" / "registry.db").write_bytes(b"\xff\xff\xff no registry")
    with pytest.raises(StoreError, match="is corrupt; remove it"):
        publish(quantized(tmp_path / "q", seed=17)[0], registered(), LINEAGE, settings)


def test_training_sets_see_a_vector_from_its_version_on(settings, registered, tmp_path):
    registration = registered()
    folder, vectors = quantized(tmp_path / "q", seed=18)
    publish(folder, registration, LINEAGE, settings)
    store = open_store(settings)
    times = [CREATED - timedelta(seconds=1), CREATED, CREATED + timedelta(days=400)]
    rows = pd.DataFrame({"pin_id": ["p0", "p1", "p229"], "event_timestamp": times})
    service = store.get_feature_service(f"pin_ranking_{registration.space}")
    found = store.get_historical_features(entity_df=rows, features=service).to_df().set_index("pin_id")["vector"]
    assert found["p0"] is None or pd.isna(found["p0"])
    assert bytes(found["p1"]) == vectors["p1"]
    assert bytes(found["p229"]) == vectors["p229"]


def test_feast_users_see_and_reapply_what_was_published(settings, registered, tmp_path):
    registration = registered()
    folder, vectors = quantized(tmp_path / "q", seed=19)
    publish(folder, registration, LINEAGE, settings)
    views = names(open_store(settings).list_feature_views())
    finished = [view for view in views if (settings.home / "feast" / "offline" / f"{view}.json").is_file()]
    before, after = feast(settings, "feature-views list", "apply", "feature-views list")
    assert set(views) <= set(before.split())
    assert set(views) & set(after.split()) == set(finished)  # what a killed attempt left is swept away
    assert f"pin_embedding_{registration.space}" in finished
    assert served(settings, "pin_ranking", ["p9"]) == [vectors["p9"]]


def feast(settings, *commands):
    """Feast's command line in one process (it takes seconds to start); returns the answers to all `list` commands.

    The home is not the default one, so its feature_store.yaml is named as feature_repo/README.md says.
    """
    environment = os.environ | {"FEAST_FS_YAML_FILE_PATH": str(settings.home / "feast" / "feature_store.yaml")}
    code = (
        "import sys; from feast.cli.cli import cli\n"
        "for command in sys.argv[1:]: print('=====', command); cli(command.split(), standalone_mode=False)"
    )
    command = [sys.executable, "-c", code, *[f"-c {REPO} {command}" for command in commands]]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr
    return [part for part in answer.stdout.split("=====") if "feature-views list" in part]


def online_rows(settings, space):
    import sqlite3

    with sqlite3.connect(settings.home / "feast" / "online.db") as connection:
        return connection.execute(f"SELECT count(*) FROM pinclip_pin_embedding_{space}").fetchone()[0]
