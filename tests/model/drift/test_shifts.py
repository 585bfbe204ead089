"""Shifts of samples: cases worked by hand, a naive version, and that chance alone is never sure."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from model.drift.shifts import RISK, least_share, margin, shift_of_labels, shift_of_values

samples = arrays(np.float64, st.integers(1, 40), elements=st.integers(-5, 5).map(float))
labels = st.lists(st.sampled_from("abcd"), min_size=1, max_size=40)


def test_values_by_hand():
    shift = shift_of_values(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6]))
    assert shift.value == 0.5  # half of the old values lie up to 2, none of the new
    assert shift.sure == 0  # four values say nothing
    assert shift.says == "up to 2: 0.0% of Pins, 50.0% before"


def test_labels_by_hand():
    shift = shift_of_labels(["JPEG"] * 9 + ["PNG"], ["JPEG"] * 5 + ["PNG"] * 3 + ["GIF"] * 2)
    assert shift.value == pytest.approx(0.4)
    assert shift.says == "JPEG: 50.0% of Pins, 90.0% before"


def test_what_is_sure_is_the_value_less_both_margins():
    before, now = np.zeros(5_000), np.ones(1_000)
    shift = shift_of_values(before, now)
    assert (shift.value, shift.sure) == (1, 1 - margin(5_000) - margin(1_000))
    assert margin(2_000) == pytest.approx(math.sqrt(math.log(400_000) / 4_000))


@given(samples, samples)
def test_values_as_scipy_has_them(before, now):
    assert shift_of_values(before, now).value == pytest.approx(stats.ks_2samp(before, now).statistic)


@given(labels, labels)
def test_labels_as_a_naive_count_has_them(before, now):
    naive = max(abs(before.count(x) / len(before) - now.count(x) / len(now)) for x in "abcd")
    shift = shift_of_labels(before, now)
    assert shift.value == pytest.approx(naive)
    assert 0 <= shift.sure <= shift.value + 1e-12


@given(samples, st.randoms())
def test_a_sample_has_not_moved_from_itself_in_any_order(sample, random):
    rows = list(range(len(sample)))
    random.shuffle(rows)
    assert shift_of_values(sample, sample[rows]).value == 0
    assert shift_of_labels(sample.tolist(), sample[rows].tolist()).value == 0


@given(samples, st.floats(0, 6), st.floats(0, 6))
def test_further_is_no_less(sample, one, other):
    near, far = sorted((one, other))
    assert shift_of_values(sample, sample + near).value <= shift_of_values(sample, sample + far).value


@given(samples, samples)
def test_both_ways_are_as_far(before, now):
    there, back = shift_of_values(before, now), shift_of_values(now, before)
    assert (there.value, there.sure) == (back.value, back.sure)


@given(st.integers(1, 60), st.data())
def test_the_least_share_by_its_definition(count, data):
    """With that share as the truth, so many hits or more have just the chance RISK."""
    hits = data.draw(st.integers(0, count))
    least = least_share(hits, count)
    assert 0 <= least <= hits / count
    if hits:
        assert stats.binom.sf(hits - 1, count, least) == pytest.approx(RISK, rel=1e-6)


@pytest.mark.parametrize("size", [50, 500, 5_000])
def test_the_other_half_of_a_collection_has_surely_not_moved(size):
    draw, sure = np.random.default_rng(size), []
    for _ in range(200):
        values = draw.permutation(draw.lognormal(size=2 * size))
        names = draw.permutation(["a"] * size + ["b"] * (size - 3) + ["c"] * 3).tolist()
        sure += [shift_of_values(values[:size], values[size:]).sure, shift_of_labels(names[:size], names[size:]).sure]
    assert max(sure) == 0
