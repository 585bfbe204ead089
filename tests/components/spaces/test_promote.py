"""Sync, promote, rollback, retire, on a real Feast home beside a real MLflow registry."""

import os
import re
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest
from feature_home import CREATED, Home, quantized, redis_server
from promoted_pins import champion, serving, set_champion

from components.configuration import load
from components.settings import Settings
from components.spaces import serving_history
from components.spaces.config import PromotionConfig
from components.spaces.feature_store import delete, open_store
from components.spaces.paths import state_folder, sync_lock
from components.spaces.promote import promote, sync
from components.spaces.published_spaces import published_space
from components.spaces.retire import retire
from components.spaces.roll_back import rollback
from model.errors import ConfigError, RunError, StoreError, VectorIndexError
from model.files import file_lock, remove
from serving.index import IndexConfig, PinIndex
from serving.rows import VectorRows, as_ids

# Codes drawn by chance are vectors of many lengths, for which the index is not made: it finds 0.7 of the nearest.
# tests/components/spaces/test_promote_killed.py has the vectors of a model.
CONFIG = PromotionConfig(min_index_recall=0.5)


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """An MLflow of these tests' own: others must find no champion in theirs."""
    return Home(tmp_path_factory.mktemp("promotion"))


@pytest.fixture
def home(registry, tmp_path):
    registry.client.delete_registered_model_alias("pinclip", "champion")
    return registry.beside(tmp_path)


def spaces(home, count):
    return [home.new_space(seed)[0] for seed in range(count)]


def served_in_turn(home, count):
    """So many spaces, each of which was the champion once; the last one serves."""
    names = spaces(home, count)
    for space in names:
        set_champion(home, space)
        sync(CONFIG, home.settings)
    return names


def story(home):
    return [(one.event, one.space, one.former, one.by) for one in serving_history.read_events(home.settings)]


def tags(home, space):
    return home.client.get_model_version("pinclip", space[1:]).tags


def served(home, service, pin_id):
    store = open_store(home.settings)
    row = {"pin_id": pin_id, "user_id": "b0", "asked_at": CREATED}
    return store.get_online_features(store.get_feature_service(service), [row]).to_dict()["vector"][0]


def test_the_first_publication_serves_and_later_only_a_promotion_moves_it(home):
    first, second = spaces(home, 2)
    assert serving(home) == first
    set_champion(home, second)
    assert serving(home) == first
    done = sync(CONFIG, home.settings)
    assert (done.space, done.former, done.checked, serving(home)) == (second, first, 230, second)
    third, vectors = home.new_space(3)
    assert serving(home) == second
    assert home.client.get_model_version_by_alias("pinclip", "challenger").version == int(third[1:])
    assert served(home, f"pin_ranking_{third}", "p3") == vectors["p3"]
    set_champion(home, third)
    sync(CONFIG, home.settings)
    assert served(home, "pin_ranking", "p3") == vectors["p3"]
    promote(int(first[1:]), "", CONFIG, home.settings)
    assert story(home) == [
        ("served", first, None, "publish"),
        ("promoted", second, first, "sync"),
        ("promoted", third, second, "sync"),
        ("promoted", first, third, "promote"),  # it served before, and never was the champion
    ]
    assert tags(home, third)["pinclip.promoted_at"] == tags(home, second)["pinclip.demoted_at"]


def test_without_a_champion_a_worse_version_never_replaces_the_one_that_serves(home):
    first, *_, last = spaces(home, 3)
    assert (serving(home), story(home)) == (first, [("served", first, None, "publish")])
    assert promote(int(last[1:]), "", CONFIG, home.settings).former == first
    assert rollback(home.settings).space == serving(home) == first


def test_a_second_sync_changes_nothing_and_writes_no_event(home):
    (space,) = spaces(home, 1)
    set_champion(home, space)
    sync(CONFIG, home.settings)
    before = story(home)
    assert before[-1] == ("promoted", space, None, "sync")  # it served already, and is the champion now
    done = sync(CONFIG, home.settings)
    assert (done.former, done.changed, story(home)) == (None, 0, before)
    with sqlite3.connect(home.settings.home / "feast" / "online.db") as connection:
        assert connection.execute(f"SELECT count(*) FROM pinclip_pin_embedding_{space}").fetchone()[0] == 230


def test_an_index_that_finds_too_little_is_said_and_nothing_moves(home):
    second, first = spaces(home, 2)
    set_champion(home, first)
    of_other = published_space(second, home.settings)
    vectors = of_other.manifest.newest()
    rows = VectorRows(as_ids(vectors.ids.to_pylist()), vectors.codes_NE, np.zeros(230, dtype=np.int64))
    wrong = PinIndex.build([rows], first, of_other.manifest.affine, IndexConfig())
    wrong.save(state_folder(first, home.settings) / "index")
    with pytest.raises(
        VectorIndexError, match=rf"The index of {first} finds 0\.\d+ of the Pins nearest to other Pins, below"
    ) as told:
        sync(CONFIG, home.settings)
    assert serving(home) == second
    remove(Path(str(told.value).split("remove ")[1].split(" to build")[0]))
    assert sync(CONFIG, home.settings).space == serving(home) == first


def test_two_at_once_one_does_it_and_the_other_says_so(home):
    second, first = spaces(home, 2)
    set_champion(home, first)
    told = []

    def meanwhile(fraction, message):
        if message == "index":
            with pytest.raises(RunError, match="Another sync is at work") as error:
                sync(CONFIG, home.settings)
            told.append(error.value)

    assert sync(CONFIG, home.settings, meanwhile).space == serving(home) == first
    assert len(told) == 1
    with file_lock(sync_lock(home.settings)), pytest.raises(RunError, match="Another sync"):
        promote(int(second[1:]), "", CONFIG, home.settings)


def test_a_champion_that_changes_meanwhile_is_the_one_that_serves(home):
    first, second, third = spaces(home, 3)
    set_champion(home, second)

    def meanwhile(fraction, message):
        if message == "index" and champion(home) == second:
            set_champion(home, third)

    assert sync(CONFIG, home.settings, meanwhile).space == serving(home) == third
    assert [one[1] for one in story(home)] == [first, third]  # the second never served


def test_promote_moves_alias_and_service_together(home):
    second, first = spaces(home, 2)
    set_champion(home, second)
    seen = []
    done = promote(int(first[1:]), "", CONFIG, home.settings, lambda f, m: seen.append((champion(home), serving(home))))
    assert (done.space, champion(home), serving(home)) == (first, first, first)
    assert set(seen[:-1]) == {(second, second)}


def test_a_version_that_failed_its_gate_needs_a_reason(home):
    (good,) = spaces(home, 1)
    bad = home.registered(passed=False)
    with pytest.raises(StoreError, match=rf"Version {bad.version} failed its gate .*--force REASON"):
        promote(bad.version, "", CONFIG, home.settings)
    set_champion(home, bad.space)
    with pytest.raises(StoreError, match="failed its gate"):
        sync(CONFIG, home.settings)
    assert serving(home) == good


def test_without_a_champion_sync_says_what_to_do(home):
    spaces(home, 1)
    with pytest.raises(StoreError, match=r"No version of models:/pinclip is the champion; set that alias in MLflow"):
        sync(CONFIG, home.settings)
    with pytest.raises(StoreError, match="not found"):
        promote(99_999, "", CONFIG, home.settings)


def test_rollback_brings_nothing_up_and_again_goes_further_back(home, monkeypatch):
    first, second, third = served_in_turn(home, 3)
    for name in ("apply_objects", "bring_online"):
        monkeypatch.setattr(
            f"components.spaces.materialize.{name}", lambda *_: pytest.fail("a rollback brings nothing up")
        )
    started = time.monotonic()
    event = rollback(home.settings)
    assert time.monotonic() - started < 20  # under a second on an idle machine
    assert (event.event, event.space, event.former, event.by) == ("rolled back", second, third, "rollback")
    assert (champion(home), serving(home)) == (second, second)
    assert rollback(home.settings).space == champion(home) == serving(home) == first
    assert tags(home, second)["pinclip.demoted_at"] >= tags(home, second)["pinclip.promoted_at"]
    with pytest.raises(StoreError, match="Nothing served before"):
        rollback(home.settings)


def test_a_rollback_that_was_killed_after_the_switch_goes_no_further_the_next_time(home, monkeypatch):
    first, second, third = served_in_turn(home, 3)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr("components.spaces.serving_history.append_event", interrupt)
        rollback(home.settings)
    assert (champion(home), serving(home)) == (second, second)
    event = rollback(home.settings)
    assert (event.event, event.by) == ("rolled back", "rollback")
    assert event.space == champion(home) == serving(home) == second
    assert rollback(home.settings).space == first
    assert third not in serving_history.served(serving_history.read_events(home.settings))


def test_rollback_after_a_kill_between_switch_and_event_goes_to_what_served_before(home, monkeypatch):
    (first,) = spaces(home, 1)
    set_champion(home, first)
    sync(CONFIG, home.settings)
    second, _ = home.new_space(7)
    set_champion(home, second)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr("components.spaces.serving_history.append_event", interrupt)
        sync(CONFIG, home.settings)
    assert (serving(home), story(home)[-1][1]) == (second, first)
    rollback(home.settings)
    assert serving(home) == champion(home) == first
    assert [one[:3] for one in story(home)][-2:] == [("promoted", second, first), ("rolled back", first, second)]


def test_history_says_who_moved_it_even_after_a_kill(home, monkeypatch):
    first, second = served_in_turn(home, 2)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr("components.spaces.serving_history.append_event", interrupt)
        promote(int(first[1:]), "the older one is better", CONFIG, home.settings)
    set_champion(home, second)
    sync(CONFIG, home.settings)  # writes down what was lost, then brings back the one before
    assert story(home)[-2:] == [("promoted", first, second, "promote"), ("rolled back", second, first, "sync")]
    assert serving_history.read_events(home.settings)[-2].reason == "the older one is better"


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_rollback_during_a_sync_wins(home):
    first, second, third = spaces(home, 3)
    for space in (first, second):
        set_champion(home, space)
        sync(CONFIG, home.settings)
    set_champion(home, third)

    def meanwhile(fraction, message):
        if message == "index" and champion(home) == third:
            rollback(home.settings)

    sync(CONFIG, home.settings, meanwhile)
    assert serving(home) == champion(home) == first


def test_a_retired_space_is_gone_everywhere_and_the_others_stay(home):
    (other, _), (old, _), (new, vectors) = (home.new_space(seed) for seed in (31, 32, 33))
    set_champion(home, new)
    sync(CONFIG, home.settings)
    with pytest.raises(StoreError, match=f"`pin_ranking` serves the space {new}"):
        retire(new, home.settings)
    with pytest.raises(StoreError, match=f"would go back to {other}; say --even-rollback"):
        retire(other, home.settings)
    state_folder(old, home.settings).mkdir(parents=True)
    retire(old, home.settings)
    store = open_store(home.settings)
    listed = [*store.list_feature_services(), *store.list_feature_views(), *store.list_on_demand_feature_views()]
    listed += [*store.list_data_sources()]
    assert not [one.name for one in listed if old in one.name.split("_")]
    assert not [path for path in home.settings.home.rglob("*") if old in re.split(r"[_.]", path.name)]
    assert served(home, "pin_ranking", "p1") == served(home, f"pin_ranking_{new}", "p1") == vectors["p1"]
    with sqlite3.connect(home.settings.home / "feast" / "online.db") as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    left = {f"{view}_{space}" for view in ("pin_embedding", "pin_semantic_id", "user_taste") for space in (other, new)}
    assert tables == {f"pinclip_{view}" for view in left | {"pin_stats"}}
    assert story(home)[-1] == ("retired", old, None, "retire")
    with pytest.raises(StoreError, match=f"There is no space {old}"):
        retire(old, home.settings)
    retire(other, home.settings, even_rollback=True)
    with pytest.raises(StoreError, match=f"{other} that served before was retired"):
        rollback(home.settings)


def test_a_rollback_to_a_space_that_lost_its_vectors_is_refused(home):
    _, second = served_in_turn(home, 2)
    (home.settings.home / "feast" / "online.db").unlink()
    home.new_space(3)  # the online store is there again, without those of the others
    with pytest.raises(StoreError, match=r"is not that of|Feast refused"):
        rollback(home.settings)
    assert serving(home) == second


def test_an_mlflow_that_does_not_answer_is_one_sentence(home, monkeypatch):
    (space,) = spaces(home, 1)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    gone = Settings(home=home.settings.home, mlflow_uri="http://127.0.0.1:9")
    with pytest.raises(StoreError, match=r"MLflow refused .* check PINCLIP_MLFLOW_URI"):
        sync(CONFIG, gone)
    assert serving(home) == space


def test_a_redis_that_goes_in_the_middle_is_one_sentence_and_the_next_call_finishes(registry, tmp_path):
    registry.client.delete_registered_model_alias("pinclip", "champion")
    with redis_server(tmp_path / "redis") as server:
        home = registry.beside(tmp_path, server.address)
        second, first = spaces(home, 2)
        set_champion(home, first)

        def meanwhile(fraction, message):
            if "statistics" in message:
                server.stop()

        with pytest.raises(StoreError, match="Redis does not answer"):
            sync(CONFIG, home.settings, meanwhile)
        assert serving(home) == second
        server.start()
        assert sync(CONFIG, home.settings).space == serving(home) == first


def test_a_full_disk_moves_nothing_and_names_the_file(home, monkeypatch):
    second, first = spaces(home, 2)
    set_champion(home, first)

    def full(self, folder):
        raise OSError(28, os.strerror(28), str(folder))

    with monkeypatch.context() as disk, pytest.raises(OSError, match="No space left on device") as error:
        disk.setattr(PinIndex, "save", full)
        sync(CONFIG, home.settings)
    assert error.value.filename
    assert serving(home) == second
    assert sync(CONFIG, home.settings).space == first


def test_an_event_that_was_cut_off_is_written_anew(home):
    first, second = spaces(home, 2)
    promote(int(second[1:]), "", CONFIG, home.settings)
    file = home.settings.home / "events.jsonl"
    file.write_bytes(file.read_bytes()[:-9])
    assert len(serving_history.read_events(home.settings)) == 1
    rollback(home.settings)
    assert [one.space for one in serving_history.read_events(home.settings)] == [first, second, first]


def test_a_publication_never_loses_what_another_writer_of_the_registry_did(home, tmp_path):
    """Feast writes its whole registry from memory: two open stores would undo each other."""
    (first,) = spaces(home, 1)
    registration = home.registered()
    folder, _ = quantized(tmp_path / "q", seed=9)

    def meanwhile(fraction, message):
        if message == "vectors in the online store":
            delete(open_store(home.settings), [f"pin_ranking_{first}"])

    home.publish(folder, registration, meanwhile)
    names = {one.name for one in open_store(home.settings).list_feature_services()}
    of_ids = {f"pin_semantic_ids_{space}" for space in (first, registration.space)}
    assert names == {f"pin_ranking_{registration.space}", "pin_ranking"} | of_ids


def test_settings_that_do_not_fit_are_said():
    with pytest.raises(ConfigError, match=r"promotion\.min_index_recall is 2"):
        load("demo", ["promotion.min_index_recall=2"])
    with pytest.raises(ConfigError, match=r"promotion\.recall_queries is 0"):
        load("demo", ["promotion.recall_queries=0"])
