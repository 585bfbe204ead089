"""The ranking team's project, whole, on planted catalogues; and that no label reaches what the ranker sees."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feature_home import DIM

from examples.ranking.__main__ import main
from examples.ranking.features import SharedIds, historical, online, published_at
from examples.ranking.log import OTHERS, impressions, read_pins, read_saves
from examples.ranking.metrics import Bootstrap, by_user
from model.config import load
from model.data.catalogue import Catalogue, CatalogueWriter
from model.graph.neighbourhood import build, read_edges
from serving.features import Features

ROOT = Path(__file__).parents[2]
PINS, USERS, THEMES = 400, 60, 8


@pytest.fixture(scope="module")
def ranking_home():
    """benchmarks/ranking_home.py; a benchmark imports its neighbours by bare name."""
    sys.path.append(str(ROOT / "benchmarks"))
    import ranking_home

    return ranking_home


def a_run(folder, codes):
    """What a run leaves of a catalogue in which a user saves Pins of one theme; `codes` are the Pins' vectors."""
    rng, ids = np.random.default_rng(0), [f"p{i}" for i in range(PINS)]
    titles = [f"word{rng.integers(20)} word{rng.integers(20)}" for _ in ids]
    chosen = [(user, rng.choice(PINS // THEMES, 24, False) * THEMES + user % THEMES) for user in range(USERS)]
    saves = [(f"u{user}", f"p{pin}") for user, pins in chosen for pin in pins]
    with CatalogueWriter(folder / "prepared" / "catalogue") as writer:
        writer.write("pins", pa.table({"pin_id": ids, "image": [b"-"] * PINS, "title": titles}))
        writer.write("boards", pa.table(dict(zip(("board_id", "pin_id"), zip(*saves, strict=True), strict=True))))
    build(folder / "prepared", folder / "neighbours", load("smoke"))
    (folder / "quantized" / "pins").mkdir(parents=True)
    vectors = pa.array([row.tobytes() for row in codes], pa.binary())
    pq.write_table(pa.table({"pin_id": ids, "vector": vectors}), folder / "quantized" / "pins" / "00000.parquet")
    fields = {"scale": 0.01, "zero_point": 0, "bits": 8, "dim": DIM}
    (folder / "quantized" / "quantization.json").write_text(json.dumps(fields))
    return folder


def telling():
    """Vectors of a theme lie around one direction."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(THEMES, DIM))
    return np.clip(30 * (centres[np.arange(PINS) % THEMES] + rng.normal(size=(PINS, DIM))), -127, 127).astype(np.int8)


def silent():
    """Vectors that know nothing: whatever a ranker gains by them, it has from a leak."""
    return np.random.default_rng(2).integers(-127, 128, (PINS, DIM), dtype=np.int8)


def published(features_home, ranking_home, folder, codes):
    home, run = features_home.beside(folder / "root"), a_run(folder / "run", codes)
    registration = home.registered()
    ranking_home.published_before(run, run / "prepared", registration, folder / "ranking", home.settings)
    return home.settings.home, folder / "ranking" / "catalogue"


@pytest.fixture(scope="module")
def telling_home(features_home, ranking_home, tmp_path_factory):
    return published(features_home, ranking_home, tmp_path_factory.mktemp("telling"), telling())


@pytest.fixture(scope="module")
def silent_home(features_home, ranking_home, tmp_path_factory):
    return published(features_home, ranking_home, tmp_path_factory.mktemp("silent"), silent())


def test_a_user_is_whom_the_board_names_else_the_board(tmp_path):
    with CatalogueWriter(tmp_path / "c") as writer:
        saves = {"board_id": ["b1", "b2", "b3"], "pin_id": ["p", "p", "p"], "user_id": ["ann", "ann", None]}
        writer.write("boards", pa.table(saves))
    assert read_saves(tmp_path / "c")["user_id"].tolist() == ["ann", "b3"]


def opened(home, catalogue):
    store = Features.of(home / "feast" / "feature_store.yaml").store
    return store, read_pins(catalogue), read_saves(catalogue), published_at(store)


def results_of(place, out):
    home, catalogue = place
    main(["--home", str(home), "--catalogue", str(catalogue), "--out", str(out), "--requests", "2"])
    return json.loads((out / "results.json").read_text())


def gain(results, scope):
    return results[scope]["gain"]["ndcg"]


def test_vectors_that_tell_the_theme_gain_and_the_report_is_whole(telling_home, tmp_path, capsys):
    results = results_of(telling_home, tmp_path / "out")
    assert gain(results, "fresh")["low"] > 0.5
    assert gain(results, "all")["low"] > 0.5
    assert results["fresh"]["gain of IDs"]["ndcg"]["low"] > 0.3
    assert (tmp_path / "out" / "gains.png").stat().st_size > 5_000
    printed = capsys.readouterr().out
    assert "| fresh | NDCG@10 |" in printed
    assert "| on-demand functions |" in printed
    assert all(ms["p99"] >= ms["p50"] > 0 for ms in results["latency_ms"].values())


def test_vectors_that_know_nothing_gain_nothing(silent_home, tmp_path):
    results = results_of(silent_home, tmp_path / "out")
    for scope in ("all", "fresh"):
        assert gain(results, scope)["low"] < 0.1
        assert results[scope]["gain of IDs"]["ndcg"]["low"] < 0.1


def test_with_the_labels_published_they_would_gain(features_home, ranking_home, tmp_path, monkeypatch):
    """The leak that the home is built against: so the test above can fail."""
    with monkeypatch.context() as leaking:
        leaking.setattr(ranking_home, "AFTER", -ranking_home.BEFORE)
        home, catalogue = published(features_home, ranking_home, tmp_path, silent())
    run, moment = tmp_path / "run", opened(home, catalogue)[-1]
    ranking_home.with_times(run / "prepared", run / "neighbours", moment, tmp_path / "honest")
    assert gain(results_of((home, tmp_path / "honest"), tmp_path / "out"), "fresh")["low"] > 0.2


def test_tastes_and_statistics_know_only_the_saves_before(silent_home):
    """Every vector is of one Pin alone, so a medoid names the Pin."""
    home, catalogue = silent_home
    store, pins, saves, moment = opened(home, catalogue)
    pin_of = {row.tobytes(): f"p{i}" for i, row in enumerate(silent())}
    before = saves[saves["saved_at"] <= moment]
    history = before.groupby("user_id")["pin_id"].agg(set)
    rows = [{"user_id": user, "pin_id": pin} for user, pin in zip(sorted(history.index), pins["pin_id"], strict=False)]
    rows = [{**row, "asked_at": moment} for row in rows]
    values = store.get_online_features(store.get_feature_service("pin_ranking"), rows).to_dict()
    for user, medoids in zip(values["user_id"], values["medoids"], strict=True):
        assert {pin_of[medoids[i : i + DIM]] for i in range(0, len(medoids), DIM)} <= history[user]
    counted = before["pin_id"].value_counts()
    assert values["saves"] == [counted.get(pin, 0) for pin in values["pin_id"]]
    assert 0 < len(before) < len(saves)


def test_labels_are_saves_that_no_training_was_told(silent_home):
    home, catalogue = silent_home
    *_, saves, moment = opened(home, catalogue)
    run, columns = catalogue.parents[1] / "run", ["board_id", "pin_id"]
    taught = pa.array(~read_edges(run / "neighbours").held_out)
    boards = Catalogue(run / "prepared" / "catalogue").read("boards", columns).filter(taught)
    told = set(zip(*(boards[name].to_pylist() for name in columns), strict=True))
    later = saves[saves["saved_at"] > moment]
    assert not told & set(zip(later["user_id"], later["pin_id"], strict=True))
    assert len(told) + len(later) == len(saves)


def test_impressions_are_fair(silent_home):
    home, catalogue = silent_home
    _, pins, saves, moment = opened(home, catalogue)
    shown = impressions(pins, saves, moment, seed=0)
    ever, later = (set(zip(s["user_id"], s["pin_id"], strict=True)) for s in (saves, saves[saves["saved_at"] > moment]))
    pairs = list(zip(shown["user_id"], shown["pin_id"], strict=True))
    assert len(set(pairs)) == len(pairs)
    for pair, saved in zip(pairs, shown["saved"], strict=True):
        assert (pair in later) if saved else (pair not in ever)
    counts = shown.groupby(["user_id", "fresh"])["saved"].agg(["sum", "size"])
    assert (counts["sum"] > 0).all()  # a kind is shown where it was saved
    assert (counts["size"] - counts["sum"] <= OTHERS * counts["sum"]).all()
    users = shown.groupby("user_id")
    assert (users["train"].nunique() == 1).all()
    assert (shown["shown_at"] > moment).all()
    place = users.cumcount() / users["saved"].transform("size")
    assert place[shown["saved"]].mean() == pytest.approx(0.5, abs=0.05)  # the order tells nothing


def test_the_same_values_offline_and_online(telling_home):
    home, catalogue = telling_home
    store, pins, saves, moment = opened(home, catalogue)
    shown = impressions(pins, saves, moment, seed=0)
    some = shown[shown["user_id"] == shown["user_id"].iloc[0]].reset_index(drop=True)
    served = online(store, some["user_id"][0], some["pin_id"].tolist(), some["shown_at"][0].to_pydatetime())
    pd.testing.assert_frame_equal(historical(store, some), served)
    assert served.notna().all(axis=None)


def test_shared_ids_count_the_saved_pins_that_begin_alike():
    codes = {"a": [1, 2, 3], "b": [1, 2, 4], "c": [1, 5, 3], "new": [1, 2, 3]}
    history = pd.DataFrame({"user_id": ["u"] * 4, "pin_id": ["a", "b", "c", "without"]})
    shared = SharedIds(codes, history)
    assert shared.of("u", ["new", "without"]) == [[0.75, 0.5, 0.25], [0, 0, 0]]
    assert shared.of("nobody", ["new"]) == [[0, 0, 0]]


def test_ndcg_and_saves_by_hand():
    rows = pd.DataFrame({"user_id": ["a"] * 3 + ["b"] * 12, "saved": [False, True, True] + [False] * 11 + [True]})
    figures = by_user(rows, np.array([3.0, 2.0, 1.0] + [0.0] * 12))
    ideal = 1 + 1 / np.log2(3)
    assert figures.loc["a"].tolist() == pytest.approx([(1 / np.log2(3) + 1 / 2) / ideal, 2])
    assert figures.loc["b"].tolist() == [0, 0]  # twelfth of twelve


def test_the_gain_of_twice_as_much_is_one_for_every_draw():
    draws, theirs = Bootstrap(50, seed=0), np.random.default_rng(0).random(50)
    assert draws.gain(2 * theirs, theirs) == pytest.approx({"value": 1, "low": 1, "high": 1})
    found = draws.mean(theirs)
    assert found["value"] == pytest.approx(theirs.mean())
    assert found["low"] < found["value"] < found["high"]


def test_the_example_imports_features_alone():
    """Of this project only serving: the contract in pyproject.toml says the same."""
    allowed, forbidden = 0, {"model", "validation", "components", "pipelines", "feature_repo"}
    for file in (ROOT / "examples").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            roots = {name.split(".")[0] for name in names}
            assert not roots & forbidden, file
            allowed += "serving" in roots
    assert allowed
