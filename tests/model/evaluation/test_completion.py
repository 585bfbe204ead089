"""Completion against a naive version and cases worked by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.embedding.affine import unit_length
from model.evaluation.completion import (
    ALL,
    board_scores,
    by_popularity,
    by_vectors,
    completed,
    hit_chance,
    saves_left_out,
)


def questions(pins_B, left, groups=range(8), candidates=None):
    candidates_N = np.ones(8, dtype=bool) if candidates is None else np.isin(range(8), candidates)
    return list(saves_left_out(np.array(pins_B), left, np.array(list(groups)), candidates_N))


def naive_hit(x_NE, pins, answer, groups, nearest, k):
    """Scores one candidate after the other by plain Python."""
    board = [p for p in pins if groups[p] != groups[answer]]
    candidates = [c for c in range(len(x_NE)) if c == answer or (c not in pins and groups[c] != groups[answer])]
    scores = {}
    for c in candidates:
        cosines = sorted((float(x_NE[c] @ x_NE[p]) for p in board), reverse=True)
        kept = cosines[: nearest or len(cosines)]
        scores[c] = sum(kept) / len(kept)
    return float(sorted(candidates, key=lambda c: -scores[c]).index(answer) < k)


def test_scores_by_hand():
    similarity = np.array([[0.9, 0.1, 0.2], [0.5, 0.5, 0.4]])
    assert board_scores(similarity, 1) == pytest.approx([0.9, 0.5])
    assert board_scores(similarity, 2) == pytest.approx([0.55, 0.5])
    assert board_scores(similarity, ALL) == pytest.approx([0.4, 1.4 / 3])
    assert board_scores(similarity, 10) == pytest.approx([0.4, 1.4 / 3])  # no more than there are


@given(st.integers(0, 10_000), st.sampled_from([1, 2, ALL]))
def test_equals_the_naive_version(seed, nearest):
    rng = np.random.default_rng(seed)
    x_NE, groups = unit_length(rng.normal(size=(8, 4))), rng.integers(0, 5, 8)
    pins = rng.permutation(8)[:4]
    left = [p for p in pins if len(set(groups[pins]) - {groups[p]})]
    asked = questions(pins, left, groups)
    assert [one.answer for one in asked] == left
    if left:
        found = completed(pins, asked, [by_vectors(x_NE, [nearest])], k=2)[:, 0]
        assert found.tolist() == [naive_hit(x_NE, pins.tolist(), a, groups, nearest, 2) for a in left]


def test_the_copies_of_the_answer_neither_ask_nor_answer():
    (one,) = questions([0, 1, 2], [1], groups=[0, 1, 1, 3, 1, 5, 6, 7])
    assert one.stays_B.tolist() == [True, False, False]
    assert np.flatnonzero(one.asked_N).tolist() == [1, 3, 5, 6, 7]  # 0 and 2 are on the board, 4 is a copy


def test_only_candidates_are_found():
    (one,) = questions([0, 1], [1], candidates=[1, 5])
    assert np.flatnonzero(one.asked_N).tolist() == [1, 5]


def test_a_board_of_copies_asks_nothing():
    assert questions([0, 1], [0, 1], groups=[0, 0, 2, 3, 4, 5, 6, 7]) == []


def test_popularity_does_not_count_the_board_itself():
    saves = np.array([5, 3, 2, 2, 0, 0, 0, 0])
    scores = by_popularity(saves)(np.array([0, 1]))(np.array([True, False]))
    assert scores.tolist() == [[4, 2, 2, 2, 0, 0, 0, 0]]
    assert saves[0] == 5


def test_equal_scores_share_the_places_that_are_left():
    """Against every order that the tied could come in."""
    scores, asked = np.array([3.0, 1.0, 1.0, 1.0, 9.0]), np.array([True, True, True, True, False])
    for k in range(1, 5):
        orders = [(0, *tied) for tied in itertools.permutations([1, 2, 3])]
        share = np.mean([2 in order[:k] for order in orders])
        assert hit_chance(scores, 2, asked, k) == pytest.approx(share)


def test_a_look_that_vectors_complete_and_popularity_does_not():
    """Pins 0–3 point one way and 4–7 the other; a board of 0, 1, 2 misses 2, and everybody saves 4–7."""
    x_NE = unit_length(np.array([[1, 0.1 * i] if i < 4 else [-1, 0.1 * i] for i in range(8)]))
    asked = questions([0, 1, 2], [2])
    rankings = [by_vectors(x_NE, [1, ALL]), by_popularity(np.array([1, 1, 1, 0, 9, 9, 9, 9]))]
    assert completed(np.array([0, 1, 2]), asked, rankings, k=2).tolist() == [[1, 1, 0]]
