"""Recall and NDCG by hand, of the perfect ranking, and what more results may do to them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.metrics import hits, ndcg_at_k, recall_at_k

RANKED = np.array([[4, 1, 7, 3], [2, 0, -1, -1]])
RELEVANT = [np.array([1, 3, 9]), np.array([5])]


def test_hits_by_hand():
    assert hits(RANKED, RELEVANT).tolist() == [[False, True, False, True], [False] * 4]
    assert hits(np.array([[-1, 2]]), [np.array([-1, 2])]).tolist() == [[False, True]]  # -1 is no result
    assert hits(np.zeros((0, 4), dtype=int), []).shape == (0, 4)


def test_recall_by_hand():
    found, counts = hits(RANKED, RELEVANT), np.array([3, 1])
    assert recall_at_k(found, counts, 1).tolist() == [0, 0]
    assert recall_at_k(found, counts, 2).tolist() == [1 / 2, 0]  # of three relevant two fit in
    assert recall_at_k(found, counts, 4).tolist() == [2 / 3, 0]
    assert recall_at_k(found, counts, 10).tolist() == [2 / 3, 0]


def test_ndcg_by_hand():
    found, counts = hits(RANKED, RELEVANT), np.array([3, 1])
    gain = 1 / math.log2(3) + 1 / math.log2(5)  # hits at ranks 2 and 4
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)  # three relevant at ranks 1 to 3
    assert ndcg_at_k(found, counts, 4) == pytest.approx([gain / ideal, 0])
    assert ndcg_at_k(found, counts, 10) == pytest.approx([gain / ideal, 0])  # four results, ten asked for
    assert ndcg_at_k(found, counts, 2) == pytest.approx([(1 / math.log2(3)) / (1 + 1 / math.log2(3)), 0])


@pytest.mark.parametrize(("relevant", "k"), [(1, 10), (3, 10), (10, 10), (30, 10), (3, 1)])
def test_a_perfect_ranking_scores_one(relevant, k):
    found = np.arange(10)[None] < relevant
    assert recall_at_k(found, np.array([relevant]), k) == pytest.approx([1])
    assert ndcg_at_k(found, np.array([relevant]), k) == pytest.approx([1])


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(0, 5), st.integers(1, 15))
def test_scores_are_shares_and_a_hit_moved_up_never_harms(row, missed, k):
    found = np.array([row])
    counts = np.array([found.sum() + missed])
    if not counts[0]:
        return
    recall, ndcg = recall_at_k(found, counts, k)[0], ndcg_at_k(found, counts, k)[0]
    assert 0 <= recall <= 1
    assert 0 <= ndcg <= 1 + 1e-9
    sorted_up = np.sort(found, axis=1)[:, ::-1]
    assert recall_at_k(sorted_up, counts, k)[0] >= recall
    assert ndcg_at_k(sorted_up, counts, k)[0] >= ndcg - 1e-9


@given(st.lists(st.booleans(), min_size=12, max_size=12), st.integers(0, 5))
def test_more_results_find_no_less(row, missed):
    """The hits behind recall grow with k; the share of what could be found grows from k = relevant on."""
    found, counts = np.array([row]), np.array([sum(row) + missed])
    if not counts[0]:
        return
    recalls = [recall_at_k(found, counts, k)[0] for k in range(1, 13)]
    numbers = [recall * min(counts[0], k) for k, recall in enumerate(recalls, 1)]
    assert numbers == pytest.approx(np.cumsum(row))
    rest = recalls[counts[0] - 1 :]
    assert rest == sorted(rest)
