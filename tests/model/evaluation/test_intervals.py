"""Intervals against a case worked by hand, and what must hold for any values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.intervals import Interval, gain, interval

VALUES = st.lists(st.floats(0.01, 1.0), min_size=2, max_size=8)


def test_three_values_worked_by_hand():
    """Mean 0.32, s = 0.02, t(0.975; 2) = 4.303: half = 4.303 * 0.02 / sqrt(3)."""
    found = interval([0.30, 0.32, 0.34])
    assert found.mean == pytest.approx(0.32)
    assert found.half == pytest.approx(4.30265 * 0.02 / math.sqrt(3), rel=1e-5)
    assert found.text() == "0.320 ± 0.050"


def test_one_value_has_no_spread():
    assert interval([0.4]) == Interval(0.4, None)
    assert interval([0.4]).text("+.1%") == "+40.0%"


def test_the_gain_is_of_the_pairs():
    """+50 % and +60 %: mean 55 %, s = 0.0707, t(0.975; 1) = 12.706: half = 12.706 * 0.0707 / sqrt(2)."""
    found = gain([0.30, 0.32], over=[0.20, 0.20])
    assert found.mean == pytest.approx(0.55)
    assert found.half == pytest.approx(12.7062 * 0.05, rel=1e-5)
    assert found.text("+.1%") == "+55.0% ± 63.5%"


def test_nothing_gains_over_zero():
    assert gain([0.3, 0.3], over=[0.0, 0.2]) is None


def test_values_without_a_partner_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        gain([0.3, 0.3], over=[0.2])


@given(VALUES)
def test_any_order_gives_the_same_and_copies_have_no_width(values):
    assert interval(values[::-1]).half == pytest.approx(interval(values).half, abs=1e-12)
    assert interval([values[0]] * 3).half == pytest.approx(0, abs=1e-12)
    assert gain(values, over=values).mean == pytest.approx(0)


def test_it_covers_the_truth_19_times_in_20():
    """2,000 draws of three values around 5."""
    draws = np.random.default_rng(0).normal(5.0, 1.0, (2000, 3))
    found = [interval(draw) for draw in draws]
    assert np.mean([abs(one.mean - 5.0) <= one.half for one in found]) == pytest.approx(0.95, abs=0.015)
