"""The bootstrap: groups drawn whole, ratios draw by draw, intervals that hold what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.evaluation.bootstrap import DRAWS, Bootstrap, ends


def test_every_draw_has_as_many_groups_as_there_are():
    draws = Bootstrap.over(np.array([7, 7, 3, 9]), seed=0)
    assert draws.group_Q.tolist() == [1, 1, 0, 2]
    assert draws.times_DC.shape == (DRAWS, 3)
    assert (draws.times_DC.sum(1) == 3).all()


def test_ratios_by_hand():
    """Groups {1, 2} and {3}; drawn twice and never, then once each."""
    draws = Bootstrap(np.array([0, 0, 1]), np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]]))
    above, below = np.array([[1.0], [0.0], [3.0]]), np.array([[1.0], [1.0], [0.0]])
    ratios = draws.ratios(above, below)[:, 0]
    assert ratios[:2].tolist() == [0.5, 2.0]
    assert np.isnan(ratios[2])
    assert ends(np.full(4, np.nan)) is None


@given(hnp.arrays(np.float64, 30, elements=st.floats(0, 1)), st.floats(0.1, 0.9))
def test_a_ratio_to_its_own_multiple_has_no_width(x, factor):
    x = x + 0.01
    low, high = ends(Bootstrap.over(np.arange(30), seed=0).ratios(x[:, None] * factor, x[:, None])[:, 0])
    assert low == pytest.approx(factor, rel=1e-4)
    assert high == pytest.approx(factor, rel=1e-4)


def test_it_covers_the_truth_about_19_times_in_20_where_queries_of_a_group_go_together():
    """60 groups of 5 queries alike, mean 0.3; taking queries for groups gives intervals far too narrow."""
    rng, ones = np.random.default_rng(0), np.ones((300, 1))
    groups, covered = np.repeat(np.arange(60), 5), {"groups": 0, "queries": 0}
    for _ in range(150):
        found = np.repeat(rng.random(60) < 0.3, 5).astype(float)[:, None]
        for name, over in (("groups", groups), ("queries", np.arange(300))):
            low, high = ends(Bootstrap.over(over, seed=1).ratios(found, ones)[:, 0])
            covered[name] += low <= 0.3 <= high
    assert covered["groups"] / 150 == pytest.approx(0.94, abs=0.04)
    assert covered["queries"] / 150 < 0.8
