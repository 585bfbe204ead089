"""Shifts of Pin vectors: angles known beforehand, a naive count of neighbours, and that chance alone is never sure."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.drift.vectors import lengths, lost_neighbours, shift_of_centroid


def cloud(seed: int, count: int, dim: int = 16, spread: float = 0.5) -> np.ndarray:
    """Vectors around the first axis."""
    x = np.random.default_rng(seed).normal(scale=spread / math.sqrt(dim), size=(count, dim)).astype(np.float32)
    x[:, 0] += 1
    return x


def turned(x: np.ndarray, degrees: float) -> np.ndarray:
    """In the plane of the first two axes."""
    angle, y = math.radians(degrees), x.copy()
    y[:, 0] = math.cos(angle) * x[:, 0] - math.sin(angle) * x[:, 1]
    y[:, 1] = math.sin(angle) * x[:, 0] + math.cos(angle) * x[:, 1]
    return y


def test_the_centroid_of_turned_vectors_by_hand():
    before, now = np.tile([1.0, 0], (40, 1)), np.tile([0.0, 2], (50, 1))
    shift = shift_of_centroid(before, now)
    assert shift.value == pytest.approx(1)  # a right angle
    assert shift.sure == pytest.approx(1)  # vectors that are all alike leave nothing open
    assert shift.says == "90.0° apart"
    assert shift_of_centroid(before, -before).value == pytest.approx(2)


@given(st.integers(0, 5), st.floats(0, 90), st.floats(0, 90))
def test_further_is_no_less(seed, one, other):
    near, far = sorted((one, other))
    x = cloud(seed, 60)
    shifts = [shift_of_centroid(x, turned(x, degrees)) for degrees in (near, far)]
    assert shifts[0].value <= shifts[1].value + 1e-9
    assert all(0 <= shift.sure <= shift.value + 1e-9 for shift in shifts)


@given(st.integers(0, 20))
def test_vectors_have_not_moved_from_themselves_in_any_order(seed):
    x = cloud(seed, 50)
    shift = shift_of_centroid(x, np.random.default_rng(seed).permutation(x))
    assert shift.value == pytest.approx(0, abs=1e-12)
    assert lost_neighbours(x, x).value == 0


def test_a_turn_is_sure_as_soon_as_the_samples_are_large():
    small, large = ([cloud(seed, count) for seed in (1, 2)] for count in (40, 4_000))
    assert shift_of_centroid(small[0], turned(small[1], 10)).sure == 0
    assert shift_of_centroid(large[0], turned(large[1], 10)).sure > 0.5 * (1 - math.cos(math.radians(10)))


def test_means_without_direction_are_never_sure():
    x = np.random.default_rng(0).normal(size=(500, 16))
    assert shift_of_centroid(x - x.mean(axis=0), x).sure == 0
    assert shift_of_centroid(np.zeros((40, 3)), np.ones((40, 3))).value == 0


@pytest.mark.parametrize("size", [50, 500])
def test_the_other_half_of_a_collection_has_surely_not_moved(size):
    halves = (np.random.default_rng(seed).permutation(cloud(seed, 2 * size, spread=2.0)) for seed in range(200))
    assert max(shift_of_centroid(x[:size], x[size:]).sure for x in halves) == 0


def naive(before: np.ndarray, now: np.ndarray) -> float:
    kept = []
    for row in range(len(before)):
        near = [sorted(set(range(len(x))) - {row}, key=lambda i, x=x: -float(x[row] @ x[i])) for x in (before, now)]
        kept.append(len(set(near[0][:10]) & set(near[1][:10])) / 10)
    return 1 - sum(kept) / len(kept)


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_as_a_naive_count_has_them(seed):
    draw = np.random.default_rng(seed)
    before = draw.normal(size=(40, 8)).astype(np.float32)
    now = before + draw.normal(scale=0.5, size=(40, 8)).astype(np.float32)
    shift = lost_neighbours(before, now)
    assert shift.value == pytest.approx(naive(before, now))
    assert shift.sure == max(0, shift.value - math.sqrt(math.log(1e5) / 80))


def test_neighbours_are_lost_whole_where_the_vectors_are_others():
    x = np.random.default_rng(0).normal(size=(2, 600, 32)).astype(np.float32)
    shift = lost_neighbours(x[0], x[1])
    assert shift.value > 0.95
    assert shift.sure > 0.8


def test_lengths():
    assert lengths(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [5, 0]
