"""Exact search against sorting everything, ties and exclusions included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.embedding import retrieval
from model.embedding.retrieval import STRETCH, top_k, top_k_of_blocks

SMALL = st.integers(-2, 2).map(float)


def naive(queries, candidates, k, excluded=None):
    """Sort all scores, the larger first, of equal ones the smaller index."""
    found = []
    for i, query in enumerate(queries):
        gone = set() if excluded is None else set(excluded[i].tolist())
        scored = [(-float(query @ c), j) for j, c in enumerate(candidates) if j not in gone]
        best = [j for _, j in sorted(scored)[:k]]
        found.append(best + [-1] * (min(k, len(candidates)) - len(best)))
    return np.array(found).reshape(len(queries), min(k, len(candidates)))


@st.composite
def searches(draw):
    """Vectors of small whole numbers, so that many scores are equal."""
    dim, queries, candidates = draw(st.integers(1, 3)), draw(st.integers(0, 6)), draw(st.integers(1, 12))
    q = draw(hnp.arrays(np.float32, (queries, dim), elements=SMALL))
    c = draw(hnp.arrays(np.float32, (candidates, dim), elements=SMALL))
    rows = st.lists(st.integers(0, candidates - 1), unique=True).map(lambda gone: np.array(gone, dtype=np.int64))
    return q, c, draw(st.integers(1, 14)), draw(st.none() | st.lists(rows, min_size=queries, max_size=queries))


@given(searches())
def test_top_k_is_the_sorted_list(search):
    queries, candidates, k, excluded = search
    indices, scores = top_k(queries, candidates, k, excluded)
    assert np.array_equal(indices, naive(queries, candidates, k, excluded))
    for query, row, found in zip(queries, scores, indices, strict=True):
        assert row.tolist() == [query @ candidates[j] if j >= 0 else -np.inf for j in found]


@given(st.data())
def test_ties_of_many_candidates_in_blocks_of_any_size(data):
    """Enough candidates for stretches; with scores from -2 to 2 most borders are tied, and some are taken out."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    k, count = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 10 * STRETCH))
    queries, candidates = (rng.integers(-1, 2, (rows, 2)).astype(np.float32) for rows in (3, count))
    excluded = [rng.choice(count, data.draw(st.integers(0, count)), replace=False) for _ in queries]
    cuts = data.draw(st.lists(st.integers(0, count), max_size=3).map(sorted))
    found = top_k_of_blocks(queries, np.split(candidates, cuts), k, excluded)[0]
    assert np.array_equal(found, naive(queries, candidates, k, excluded))


@given(hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-(2**100), 2**100, width=32)))
def test_scores_of_any_size_and_sign_are_in_order(scores):
    """0 and -0 are equal scores; numbers too small for a whole mantissa are in order too."""
    indices, found = top_k(np.ones((1, 1), np.float32), scores[:, None], len(scores))
    assert indices[0].tolist() == np.lexsort((np.arange(len(scores)), -scores)).tolist()
    assert found[0].tolist() == scores[indices[0]].tolist()


@pytest.mark.parametrize("block", [1, 3, 7])
def test_blocks_find_what_one_finds(monkeypatch, block):
    rng = np.random.default_rng(0)
    queries, candidates = (
        rng.integers(-3, 4, (7, 4)).astype(np.float32),
        rng.integers(-3, 4, (30, 4)).astype(np.float32),
    )
    excluded = [rng.choice(30, size=i, replace=False) for i in range(7)]
    whole = top_k(queries, candidates, 5, excluded)
    monkeypatch.setattr(retrieval, "BLOCK", block)
    monkeypatch.setattr(retrieval, "CANDIDATES", 2 * block)
    for a, b in zip(top_k(queries, candidates, 5, excluded), whole, strict=True):
        assert np.array_equal(a, b)


def test_the_vectors_given_stay_as_they_are():
    queries, candidates = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)
    top_k(queries, candidates, 2, [np.array([i]) for i in range(3)])
    assert np.array_equal(queries, np.eye(3))
    assert np.array_equal(candidates, np.eye(3))


def test_more_asked_for_than_there_is():
    indices, scores = top_k(np.ones((1, 1), np.float32), np.array([[1.0], [2.0]], np.float32), 10)
    assert indices.tolist() == [[1, 0]]
    assert scores.tolist() == [[2.0, 1.0]]


def test_everything_excluded_and_nobody_asking():
    one = np.ones((1, 1), np.float32)
    assert top_k(one, one, 1, [np.array([0])])[0].tolist() == [[-1]]
    assert top_k(one[:0], one, 1)[0].shape == (0, 1)
