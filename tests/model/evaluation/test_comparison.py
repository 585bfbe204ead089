"""A model beside the champion: the paired interval by hand, the same questions to both, and what the champion saw."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import load
from model.config.folder import complete_config
from model.data.catalogue import TIME, Catalogue
from model.embedding.columns import VectorColumn
from model.evaluation import cost as costs
from model.evaluation.bootstrap import Bootstrap
from model.evaluation.comparison import NOTHING, Champion, compare, differences, seen, without_champion
from model.evaluation.evaluate import ModelVectors, pinclip_vectors, retrieval_metrics
from model.evaluation.paired import difference
from model.evaluation.tasks import evaluation_scope
from model.graph.neighbourhood import read_fresh
from model.graph.splits import split_pins
from model.network.checkpoint import save_model
from model.network.encoder import PinEncoder
from model.network.text import train_tokenizer

MADE = datetime(2026, 11, 1, tzinfo=UTC)
recalls = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 8)), min_size=1, max_size=30)


def columns(rows):
    return (np.array(column) for column in zip(*rows, strict=True))


def test_the_interval_is_that_of_the_draws_done_one_by_one():
    """Two groups of one query, one of two: a draw's mean is over the queries that it drew."""
    ours, champion, groups = np.array([1.0, 0.5, 0.0, 0.2]), np.array([0.5, 0.5, 0.4, 0.0]), np.array([7, 7, 9, 2])
    found = difference(ours, champion, groups, 3, "champion")
    means = []
    for times in Bootstrap.over(groups, 3).times_DC:  # of the groups 2, 7, 9
        gaps = [0.2] * int(times[0]) + [0.5, 0.0] * int(times[1]) + [-0.4] * int(times[2])
        means.append(sum(gaps) / len(gaps))
    low, high = np.quantile(means, [0.025, 0.975])
    assert found == {
        **{"queries": 4, "groups": 3, "ours": 0.425, "champion": 0.35, "difference": 0.075},
        **{"low": pytest.approx(low, abs=1e-5), "high": pytest.approx(high, abs=1e-5)},
    }
    assert (found["low"], found["high"]) == (-0.4, pytest.approx(0.25, abs=0.05))


@given(recalls)
def test_who_is_compared_with_itself_differs_in_nothing(rows):
    ours, _, groups = columns(rows)
    found = difference(ours, ours, groups, 0, "champion")
    assert (found["difference"], found["low"], found["high"]) == (0, 0, 0)


@given(recalls)
def test_changing_sides_turns_the_interval_round(rows):
    ours, champion, groups = columns(rows)
    one, other = difference(ours, champion, groups, 0, "champion"), difference(champion, ours, groups, 0, "champion")
    assert one["difference"] == -other["difference"]
    assert one["low"] == pytest.approx(-other["high"], abs=2e-5)
    assert one["low"] <= one["high"]


@given(recalls, st.floats(0.01, 0.5))
def test_a_gain_on_every_query_is_the_whole_interval(rows, gain):
    champion, _, groups = columns(rows)
    found = difference(champion + gain, champion, groups, 0, "champion")
    assert found["low"] == pytest.approx(gain, abs=2e-5)
    assert found["high"] == pytest.approx(gain, abs=2e-5)


@pytest.fixture(scope="module")
def champion(tmp_path_factory, trained, config):
    """The trained model as its registration leaves it: with the settings that judged it."""
    folder = tmp_path_factory.mktemp("champion") / "model"
    shutil.copytree(trained[0], folder)
    complete_config(folder, config)
    return Champion(3, folder, MADE, "of another catalogue")


@pytest.fixture(scope="module")
def compared(tmp_path_factory, walked, trained, embedded, champion, config):
    """The trained model beside itself, which embeds the fresh Pins anew."""
    seen, scratch = [], tmp_path_factory.mktemp("compared")
    found = compare(*walked, trained[0], embedded, champion, scratch, config, lambda f, m: seen.append(f))
    assert seen == sorted(seen)
    return found


def test_both_are_asked_the_same_and_figures_are_those_of_the_evaluation(compared, walked, embedded, config):
    json.dumps(compared)
    assert set(compared) == {*NOTHING, "cost"}
    assert compared["champion"] == {"version": 3}
    measured = retrieval_metrics(pinclip_vectors(embedded), evaluation_scope(*walked, only_fresh=True), config)
    expected = {**measured["pintext"], "related_pins": measured["related_pins"], "search": measured["search"]}
    assert compared["tasks"].keys() == expected.keys()
    for task, found in compared["tasks"].items():
        assert found["ours"] == pytest.approx(expected[task]["recall@10"], abs=2e-5)
        assert found["champion"] == pytest.approx(found["ours"], abs=0.005)  # another batch, other last bits
        assert found["low"] <= 0 <= found["high"]


def test_a_champion_of_another_size_reads_the_images_at_its_own(tmp_path, walked, trained, embedded, config):
    settings = ("vision.image_size=64", "vision.width=32", "text.width=32", "text.vocabulary=400", "fusion.dim=16")
    its = load("smoke", [*settings, "fusion.prefixes=16", "quantization.bits=4", "train.precision=fp32"])
    save_model(tmp_path / "champion", PinEncoder(its), train_tokenizer(["a red chair"] * 3, its.text))
    complete_config(tmp_path / "champion", its)
    champion = Champion(1, tmp_path / "champion", MADE, "")
    found = compare(*walked, trained[0], embedded, champion, tmp_path, config)
    assert found["cost"]["vector_bytes"] == {"ours": 32, "champion": 8}
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (trained[0], tmp_path / "champion")]
    assert [*found["cost"]["weights_bytes"].values()] == sizes
    assert min(found["cost"]["latency_ms"].values()) > 0
    assert found["tasks"].keys() == {"related_pins", "search", "image_to_text", "text_to_image"}


def test_chance_is_surely_worse_than_vectors_that_know_the_boards(walked, config):
    g = evaluation_scope(*walked, only_fresh=True)
    knowing = VectorColumn.of(g.boards.toarray())
    perfect = ModelVectors([knowing], knowing, knowing, [], VectorColumn.of(np.zeros((0, 1), np.float32)))
    drawn = np.random.default_rng(0).normal(size=(max(g.pins) + 1, 8)).astype(np.float32)
    chance = ModelVectors([VectorColumn.of(drawn)], VectorColumn.of(drawn), VectorColumn.of(drawn), [], perfect.query)
    found = differences(g, chance, perfect, config)["related_pins"]
    assert found["champion"] == 1
    assert found["high"] < -0.3


def test_without_a_champion_there_is_the_models_own_cost(walked, trained, config):
    found = without_champion(*walked, trained[0], config)
    assert {**found, "cost": None} == {**NOTHING, "cost": None}
    assert found["cost"]["vector_bytes"] == {"ours": 32, "champion": None}
    assert found["cost"]["latency_ms"]["ours"] > 0


def test_on_the_same_catalogue_the_split_says_what_the_champion_saw(walked, champion, config):
    pins = Catalogue(walked[0] / "catalogue").read("pins", ["pin_id", "group_id", "created_at"])
    fresh = np.flatnonzero(read_fresh(walked[1]))
    same = replace(champion, catalogue_digest="d")
    assert seen(pins, fresh, same, config, "d") == {"share": 0, "exactly": True}
    its = load("smoke", ["seed=5", "split.by=hash"])
    share = np.isin(fresh, np.flatnonzero(split_pins(pins, its.split, 5).training)).mean()
    assert seen(pins, fresh, same, its, "d") == {"share": pytest.approx(share, abs=1e-5), "exactly": True}
    assert share > 0.5


def dated(*days):
    ids, times = [f"p{i}" for i in range(len(days))], [d and datetime(2026, 10, d, tzinfo=UTC) for d in days]
    groups = pa.nulls(len(ids), pa.string())
    return pa.table({"pin_id": ids, "group_id": groups, "created_at": pa.array(times, TIME)})


def test_on_another_catalogue_only_older_pins_may_have_been_seen(champion):
    pins, config = dated(1, 10, 20, 30), load("smoke")
    early = replace(champion, made=datetime(2026, 10, 15, tzinfo=UTC))
    found = seen(pins, np.array([1, 2, 3]), early, config, "e")
    assert found == {"share": pytest.approx(1 / 3, 1e-4), "exactly": False}
    assert seen(pins, np.array([2, 3]), early, config, "e")["share"] == 0


def test_nor_those_that_the_hash_has_always_kept_fresh(champion):
    pins, config = dated(*[None] * 60), load("smoke")
    fresh = np.flatnonzero(split_pins(pins, config.split, 0).fresh)
    assert seen(pins, fresh, champion, config, "e") == {"share": 0, "exactly": False}
    assert seen(pins, fresh, champion, replace(config, seed=9), "e")["share"] > 0.3


def test_models_are_timed_in_turns_and_the_median_counts(monkeypatch):
    clock, order = [0.0], []
    monkeypatch.setattr(costs.time, "perf_counter", lambda: clock[0])

    def call(name, seconds):
        def work():
            order.append(name)
            clock[0] += seconds

        return work

    slow = [call("a", s) for s in (0.002, 9.0, 0.002, 0.003, 0.002, 0.002, 0.002)]
    assert costs.medians([slow, [call("b", 0.004)] * 7]) == [2.0, 4.0]
    assert "".join(order) == "aaaaabbbbb" + "ab" * 7
