"""One look judged: what is shifted on purpose is found, by its name, and what is left alone is not."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from model.drift.config import DriftLimits
from model.drift.facts import LABELS, NUMBERS
from model.drift.histograms import BARS, BINS, of_labels, of_values
from model.drift.measures import LEAST, Samples, drift_measures

LIMITS = DriftLimits()
DIM = 16


def facts(draw: np.random.Generator, count: int, **changed) -> pa.Table:
    columns = {name: draw.lognormal(size=count) for name in NUMBERS}
    columns |= {name: draw.choice(["a", "b", "c"], count, p=[0.7, 0.2, 0.1]) for name in LABELS}
    return pa.table(columns | changed)


def vectors(draw: np.random.Generator, count: int, dim: int = DIM) -> np.ndarray:
    x = draw.normal(size=(count, dim)) + np.eye(dim)[0]
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def samples(seed: int, count: int = 600, **changed) -> Samples:
    """Two looks at the same world; nothing new, all of it served."""
    draw = np.random.default_rng(seed)
    canaries = vectors(draw, 200)
    seen = Samples(
        reference=facts(draw, 2 * count),
        facts={"all": facts(draw, count), "new": facts(draw, 0)},
        before_BE=vectors(draw, 2 * count),
        now_NE={"all": vectors(draw, count), "new": vectors(draw, 0)},
        canaries_before_KE=canaries,
        canaries_now_KE=canaries,
        asked=count,
        without_vector=0,
        pairs=500,
        differing={"pin_stats__saves": 0},
        newest_vector_hours=3.0,
    )
    return dataclasses.replace(seen, **changed)


def over(seen: Samples, limits: DriftLimits = LIMITS) -> set[str]:
    return {one.key for one in drift_measures(seen, limits) if one.over}


@pytest.mark.parametrize("count", [LEAST, 300, 3_000])
def test_the_same_world_raises_no_alarm_whatever_the_draw(count):
    assert [over(samples(seed, count)) for seed in range(10)] == [set()] * 10


@pytest.mark.parametrize("scope", ["all", "new"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_fact_that_moves_is_found_alone(scope, name):
    draw = np.random.default_rng(5)
    there = {"all": facts(draw, 600), "new": facts(draw, 0)}
    there[scope] = facts(draw, 600, **{name: 5 * draw.lognormal(size=600)})
    assert over(samples(1, facts=there)) == {f"facts/{scope}/{name}"}


@pytest.mark.parametrize("name", LABELS)
def test_a_label_that_moves_is_found_alone(name):
    draw = np.random.default_rng(5)
    there = {"all": facts(draw, 600, **{name: ["d"] * 600}), "new": facts(draw, 0)}
    assert over(samples(1, facts=there)) == {f"facts/all/{name}"}


def test_what_training_refused_is_no_news():
    draw = np.random.default_rng(5)
    refused = facts(draw, 600, refused=["truncated"] * 600)
    assert over(samples(1, facts={"all": facts(draw, 600), "new": refused})) == set()


def test_vectors_that_move_are_found():
    draw = np.random.default_rng(5)
    moved = vectors(draw, 600)[:, ::-1]
    assert over(samples(1, now_NE={"all": moved, "new": vectors(draw, 0)})) == {"vectors/all/centroid"}
    shorter = {"all": vectors(draw, 600), "new": 0.5 * vectors(draw, 600)}
    assert over(samples(1, now_NE=shorter)) == {"vectors/new/length"}
    assert over(samples(1, canaries_now_KE=vectors(draw, 200))) == {"vectors/all/lost_neighbours"}


def test_the_store():
    assert over(samples(1, without_vector=90)) == {"store/all/without_vector"}
    assert over(samples(1, without_vector=30)) == set()  # 5 %: not surely more than allowed
    assert over(samples(1, differing={"pin_stats__saves": 40, "x": 0})) == {"store/all/skew/pin_stats__saves"}
    assert over(samples(1), dataclasses.replace(LIMITS, max_age_hours=2.0)) == {"store/all/newest_vector_hours"}
    assert over(samples(1), dataclasses.replace(LIMITS, max_age_hours=4.0)) == set()


def test_too_few_pins_are_not_measured():
    few = samples(1, LEAST - 1, canaries_before_KE=np.zeros((5, DIM)), canaries_now_KE=np.zeros((5, DIM)))
    assert {one.group for one in drift_measures(few, LIMITS)} == {"store"}
    assert not {one.scope for one in drift_measures(samples(1), LIMITS)} - {"all"}


def test_facts_that_some_pins_lack():
    draw, widths = np.random.default_rng(1), pa.array([1.0] * 40 + [None] * 560)
    lacking = facts(draw, 600, width=widths)
    found = {one.name: one for one in drift_measures(samples(1, facts={"all": lacking}), LIMITS)}
    assert found["width"].value > 0.3  # of the forty that have it


def test_histograms_by_hand():
    seen = of_values(np.array([0.0] * 50 + [24.0] * 50), np.array([0.0] * 25 + [24.0] * 75))
    assert (seen.before[0], seen.before[-1], seen.now[0], seen.now[-1]) == (0.5, 0.5, 0.25, 0.75)
    assert (len(seen.before), seen.names) == (BINS, ["0", "24"])
    assert of_values(np.ones(3), np.ones(3)).before == of_values(np.ones(3), np.ones(3)).now
    words = of_labels(["b", "b", "a", "a"], ["a"] * 4 + list("cdefgh"))
    assert words.names[:2] == ["a", "b"]
    assert (words.before[:2], words.now[:2]) == ([0.5, 0.5], [0.4, 0])
    assert len(words.names) == BARS


def test_a_fact_that_an_older_reference_lacks_is_left_out():
    seen = samples(1)
    older = dataclasses.replace(seen, reference=seen.reference.drop_columns(["contrast"]))
    names = [{one.name for one in drift_measures(each, LIMITS)} for each in (seen, older)]
    assert names[0] - names[1] == {"contrast"}
