"""Publishing into a real Feast on SQLite and duckdb, next to a real MLflow registry."""

import dataclasses
import shutil
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from feature_home import CREATED, environment, quantized

from components.spaces.feature_store import open_store
from components.spaces.materialize import read_back
from components.spaces.publish import publish
from model.config import PrepareConfig
from model.data.catalogue import CatalogueWriter
from model.errors import StoreError
from serving.space import manifest_file

REPO = Path(__file__).parents[3] / "feature_repo"


@pytest.fixture(scope="module")
def home(features_home, tmp_path_factory):
    return features_home.beside(tmp_path_factory.mktemp("publishing"))


def served(home, service, pin_ids):
    """The vectors as a ranker reads them."""
    store = open_store(home.settings)
    rows = [{"pin_id": pin_id, "user_id": "b0", "asked_at": CREATED} for pin_id in pin_ids]
    return store.get_online_features(features=store.get_feature_service(service), entity_rows=rows).to_dict()["vector"]


def moving(home):
    """The space of `pin_ranking`, and the version of `challenger`."""
    space = open_store(home.settings).get_feature_service("pin_ranking").tags["space"]
    return space, home.client.get_model_version_by_alias("pinclip", "challenger").version


def names(listed):
    return sorted(definition.name for definition in listed)


def test_publishes_every_vector_and_the_first_version_serves(home, tmp_path):
    home = home.beside(tmp_path)
    registration = home.registered()
    folder, vectors = quantized(tmp_path / "q", seed=1)
    fractions = []
    publication = home.publish(folder, registration, lambda fraction, message: fractions.append(fraction))
    assert (publication.published, publication.pins, publication.checked) == (True, 230, 230)
    assert served(home, f"pin_ranking_{registration.space}", vectors) == list(vectors.values())
    assert served(home, "pin_ranking", ["p7", "unknown"]) == [vectors["p7"], None]
    assert moving(home) == (registration.space, registration.version)
    assert fractions == sorted(fractions)


def test_the_view_says_how_to_read_its_bytes(home, tmp_path):
    registration = home.registered()
    home.publish(quantized(tmp_path / "q", seed=2)[0], registration)
    store = open_store(home.settings)
    view = store.get_feature_view(f"pin_embedding_{registration.space}")
    expected = {
        "model_version": str(registration.version),
        "scale": "0.0078125",
        "zero_point": "3",
        "bits": "8",
        "dim": "16",
    }
    expected["catalogue_digest"] = "c" * 64
    assert view.tags.items() >= expected.items()
    assert view.tags["model"] == registration.uri
    described = [
        store.get_project(None),
        *store.list_entities(),
        *store.list_feature_views(),
        *store.list_feature_services(),
    ]
    described += [*store.list_data_sources(), *store.list_on_demand_feature_views()]
    for definition in described:
        assert definition.description, definition.name
        assert definition.owner, definition.name
        assert definition.tags, definition.name


def test_tastes_are_of_users_over_all_their_boards_and_preferences(home, tmp_path):
    home, registration = home.beside(tmp_path), home.registered()
    folder, vectors = quantized(tmp_path / "q", seed=8)
    rows = {"board_id": ["b0", "b1", "b2", "b3"], "pin_id": ["p0", "p1", "p2", "p3"], "title": [None] * 4}
    times = {"saved_at": [CREATED - timedelta(days=n) for n in (20, 10, 5, -5)], "user_id": ["ann", "ann", None, "ann"]}
    likes = {"user_id": ["ann", "bob", "bob"], "pin_id": ["p1", "p4", "p5"], "weight": [2.0, 1.0, 1.0]}
    later = {"time": [CREATED - timedelta(days=10), CREATED - timedelta(days=1), CREATED + timedelta(days=1)]}
    with CatalogueWriter(tmp_path / "users/catalogue") as writer:
        writer.write("pins", pa.table({"pin_id": list(vectors), "image": [b"-"] * len(vectors)}))
        writer.write("boards", pa.table(rows | times))
        writer.write("preferences", pa.table(likes | later))
    home.prepared = tmp_path / "users"
    publish(folder, home.prepared, registration, {}, home.settings, config=PrepareConfig(taste_half_life_days=10))
    store = open_store(home.settings)
    asked = [{"user_id": user} for user in ("ann", "b0", "b2", "bob")]
    names = [f"user_taste_{registration.space}:{name}" for name in ("medoids", "weights")]
    found = store.get_online_features(names, asked).to_dict()
    assert found["medoids"] == [vectors["p1"] + vectors["p0"], None, vectors["p2"], vectors["p4"]]  # known at CREATED
    assert found["weights"][0] == pytest.approx([6 / 7, 1 / 7])  # 1 + 2, and a half


def test_two_spaces_live_side_by_side_and_the_later_one_waits_for_a_promotion(home, tmp_path):
    home = home.beside(tmp_path)
    first, second = home.registered(), home.registered()
    old_folder, old = quantized(tmp_path / "a", seed=3)
    new_folder, new = quantized(tmp_path / "b", seed=4)
    assert home.publish(old_folder, first).serving
    assert not home.publish(new_folder, second).serving
    assert home.publish(old_folder, first).serving  # its run again: it serves still
    assert served(home, f"pin_ranking_{first.space}", ["p1"]) == [old["p1"]]
    assert served(home, f"pin_ranking_{second.space}", ["p1"]) == [new["p1"]]
    assert served(home, "pin_ranking", ["p1"]) == [old["p1"]]
    assert moving(home) == (first.space, second.version)


def test_an_older_run_that_is_finished_late_takes_nothing_from_a_newer_one(home, tmp_path):
    home = home.beside(tmp_path)
    older, newer = home.registered(), home.registered()
    home.publish(quantized(tmp_path / "b", seed=4)[0], newer)
    assert not home.publish(quantized(tmp_path / "a", seed=3)[0], older).serving
    assert moving(home) == (newer.space, newer.version)


def test_publishing_again_changes_nothing_and_doubles_nothing(home, tmp_path):
    registration = home.registered()
    folder, vectors = quantized(tmp_path / "q", seed=5)
    first = home.publish(folder, registration)
    before = names(open_store(home.settings).list_feature_services())
    assert home.publish(folder, registration) == dataclasses.replace(first, changed=0)
    store = open_store(home.settings)
    assert names(store.list_feature_services()) == before
    assert online_rows(home, registration.space) == len(vectors)
    # Feast refuses to serve a view while it materializes, so one that is served must not be materialized again.
    assert len(store.get_feature_view(f"pin_embedding_{registration.space}").materialization_intervals) == 1


def test_a_lost_online_store_is_written_again(home, tmp_path):
    home = home.beside(tmp_path)
    registration = home.registered()
    folder, vectors = quantized(tmp_path / "q", seed=20)
    home.publish(folder, registration)
    (home.settings.home / "feast" / "online.db").unlink()
    home.publish(folder, registration)
    assert served(home, "pin_ranking", ["p2"]) == [vectors["p2"]]
    answer = open_store(home.settings).get_online_features(["pin_stats:saves"], [{"pin_id": "p3"}]).to_dict()
    assert answer["saves"] == [2]


def test_an_online_store_that_lost_a_vector_is_one_sentence_and_can_be_fixed(home, tmp_path):
    home = home.beside(tmp_path)
    registration = home.registered()
    folder, vectors = quantized(tmp_path / "q", seed=21)
    home.publish(folder, registration)
    with sqlite3.connect(home.settings.home / "feast" / "online.db") as connection:
        gone = "DELETE FROM pinclip_pin_embedding_{} WHERE instr(entity_key, CAST('p150' AS BLOB))"
        assert connection.execute(gone.format(registration.space)).rowcount == 1
    with pytest.raises(StoreError, match=r"remove .*json, if it is there, and run this again") as error:
        home.publish(folder, registration)
    Path(str(error.value).split("remove ")[1].split(",")[0]).unlink()
    home.publish(folder, registration)
    assert served(home, "pin_ranking", ["p150"]) == [vectors["p150"]]


def test_a_version_that_failed_its_gate_gets_no_space(home, tmp_path):
    good = home.registered()
    home.publish(quantized(tmp_path / "good", seed=6)[0], good)
    before = moving(home)
    bad = home.registered(passed=False)
    publication = home.publish(quantized(tmp_path / "bad", seed=7)[0], bad)
    assert not publication.published
    assert moving(home) == before == (before[0], good.version)
    assert f"pin_embedding_{bad.space}" not in names(open_store(home.settings).list_feature_views())


def test_vectors_that_are_served_wrongly_move_nothing_and_a_rerun_finishes(home, tmp_path):
    good, next_one = home.registered(), home.registered()
    home.publish(quantized(tmp_path / "good", seed=8)[0], good)
    before = moving(home)
    folder, _ = quantized(tmp_path / "next", seed=9)

    def swap(fraction, message):
        if message == "vectors in the online store":
            with sqlite3.connect(home.settings.home / "feast" / "online.db") as connection:
                connection.execute(f"UPDATE pinclip_pin_embedding_{next_one.space} SET value = x'0a0100'")
            shutil.rmtree(folder / "pins")
            quantized(folder, seed=10, pins=100)

    with pytest.raises(StoreError, match=r"The vector that Feast serves for the Pin 'p0' is not that of"):
        home.publish(folder, next_one, swap)
    assert moving(home) == before
    assert not manifest_file(home.settings.home / "feast", next_one.space).exists()

    home.publish(folder, next_one)
    assert moving(home) == (before[0], next_one.version)
    assert online_rows(home, next_one.space) == 100  # none is left of the 230 of the first attempt


def test_a_death_between_reading_back_and_the_switch_moves_nothing(home, tmp_path):
    good, next_one = home.registered(), home.registered()
    home.publish(quantized(tmp_path / "good", seed=11)[0], good)
    before = moving(home)
    folder, vectors = quantized(tmp_path / "next", seed=12)

    def die(fraction, message):
        if message.endswith("all equal"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        home.publish(folder, next_one, die)
    assert moving(home) == before
    home.publish(folder, next_one)
    assert served(home, f"pin_ranking_{next_one.space}", ["p5"]) == [vectors["p5"]]


def test_a_published_space_never_takes_other_vectors(home, tmp_path):
    registration = home.registered()
    folder, vectors = quantized(tmp_path / "a", seed=13)
    home.publish(folder, registration)
    with pytest.raises(StoreError, match="already holds other vectors"):
        home.publish(quantized(tmp_path / "b", seed=14)[0], registration)
    assert served(home, f"pin_ranking_{registration.space}", ["p3"]) == [vectors["p3"]]


def test_a_table_above_the_limit_is_sampled_evenly(home, tmp_path, monkeypatch):
    monkeypatch.setattr(read_back, "__defaults__", (50,))
    publication = home.publish(quantized(tmp_path / "q", seed=15, shards=1)[0], home.registered())
    assert (publication.pins, publication.checked) == (230, 46)  # every fifth


def test_bad_shards_are_one_sentence(home, tmp_path):
    with pytest.raises(StoreError, match="There are no quantized vectors in"):
        home.publish(tmp_path, home.registered())
    folder, _ = quantized(tmp_path / "q", seed=16)
    (folder / "quantization.json").write_text('{"scale": 1.0, "zero_point": 0, "bits": 8, "dim": 32}')
    with pytest.raises(StoreError, match=r"holds vectors of 16 bytes, quantization\.json says 32"):
        home.publish(folder, home.registered())


def test_a_corrupt_registry_is_one_sentence(home, tmp_path):
    home = home.beside(tmp_path)
    (home.settings.home / "feast").mkdir(parents=True)
    (home.settings.home / "feast" / "registry.db").write_bytes(b"\xff\xff\xff no registry")
    with pytest.raises(StoreError, match="is corrupt; remove it"):
        home.publish(quantized(tmp_path / "q", seed=17)[0], home.registered())


def test_feast_users_see_and_reapply_what_was_published(home, tmp_path):
    registration = home.registered()
    folder, vectors = quantized(tmp_path / "q", seed=19)
    home.publish(folder, registration)
    everything = names(open_store(home.settings).list_feature_views())
    views = [view for view in everything if view.startswith("pin_embedding")]
    finished = [view for view in views if (home.settings.home / "feast" / "offline" / f"{view}.json").is_file()]
    before, after = feast(home, "feature-views list", "apply", "feature-views list")
    assert set(everything) <= set(before.split())
    assert {"pin_stats", "pin_age", f"user_taste_{registration.space}"} <= set(after.split())
    assert set(views) & set(after.split()) == set(finished)  # what a killed attempt left is swept away
    assert f"pin_embedding_{registration.space}" in finished
    assert served(home, f"pin_ranking_{registration.space}", ["p9"]) == [vectors["p9"]]


def feast(home, *commands):
    """Feast's command line in one process (it takes seconds to start); returns the answers to all `list` commands.

    The home is not the default one, so its feature_store.yaml is named as feature_repo/README.md says.
    """
    code = (
        "import sys, feast.ui_server; from feast.cli.cli import cli\n"  # `feast ui` can start
        "for command in sys.argv[1:]: print('=====', command); cli(command.split(), standalone_mode=False)"
    )
    command = [sys.executable, "-c", code, *[f"-c {REPO} {command}" for command in commands]]
    answer = subprocess.run(command, env=environment(home), capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr
    return [part for part in answer.stdout.split("=====") if "feature-views list" in part]


def online_rows(home, space):
    with sqlite3.connect(home.settings.home / "feast" / "online.db") as connection:
        return connection.execute(f"SELECT count(*) FROM pinclip_pin_embedding_{space}").fetchone()[0]
