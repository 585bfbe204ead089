"""Exact nearest neighbours by dot product, a block of queries against a block of candidates at a time.

Equal scores stand in the order of the candidates' indices, in whatever blocks the candidates come: what is sorted is
one number a candidate, its key, with the score in the upper half and the index in the lower.

Shape legend: Q queries · N candidates · n candidates of a block · E vector dimension · K results · P pairs
              L scores of a stretch · S stretches
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor

import numpy as np

from model.blas import threads

BLOCK = 256  # queries whose scores are held at once by each thread
CANDIDATES = 10_240  # candidates of a block: scores of 10 MiB a thread; smaller blocks are merged more often
STRETCH = 16  # scores of which the largest is looked at first
NOTHING = np.iinfo(np.int64).max  # stands behind every key


def top_k(
    queries_QE: np.ndarray, candidates_NE: np.ndarray, k: int, excluded: Sequence[np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(indices (Q, K), scores (Q, K)), best first, equal scores in index order; K = min(k, N).

    excluded: candidate indices that each query must not find; a query left with fewer than K gets -1, score -inf.
    """
    return top_k_of_blocks(queries_QE, [candidates_NE], k, excluded)


def top_k_of_blocks(
    queries_QE: np.ndarray, blocks: Iterable[np.ndarray], k: int, excluded: Sequence[np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """top_k over candidates that come in blocks (n, E) and are never held together."""
    search = Search(queries_QE, k, excluded)
    for block in blocks:
        search.add(block)
    return search.found()


class Search:
    """A search whose candidates are added a block at a time; candidates are numbered as they come."""

    def __init__(self, queries_QE: np.ndarray, k: int, excluded: Sequence[np.ndarray] | None = None) -> None:
        """excluded: as of top_k."""
        self.queries_QE, self.k, self.added = queries_QE, k, 0
        self.keys_QK = np.empty((len(queries_QE), 0), dtype=np.int64)
        self.parts = [slice(start, start + BLOCK) for start in range(0, len(queries_QE), BLOCK)]
        self.excluded = [None if excluded is None else _pairs(excluded[part]) for part in self.parts]

    def add(self, candidates_nE: np.ndarray) -> None:
        with threads() as pool:
            for start in range(0, len(candidates_nE), CANDIDATES):
                self._add(candidates_nE[start : start + CANDIDATES], pool)

    def found(self) -> tuple[np.ndarray, np.ndarray]:
        """(indices (Q, K), scores (Q, K)) among those added so far, as of top_k."""
        indices, scores = self.keys_QK & 0xFFFFFFFF, _scores(self.keys_QK)
        indices[np.isneginf(scores)] = -1
        return indices, scores

    def _add(self, candidates_nE: np.ndarray, pool: Executor) -> None:
        width = min(self.k, self.added + len(candidates_nE))

        def best(part: slice, excluded: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
            scores_QLS = _scored(self.queries_QE[part], candidates_nE, width)
            if excluded is not None:
                _take_out(scores_QLS.reshape(len(scores_QLS), -1), *excluded, self.added)
            return _merged(self.keys_QK[part], scores_QLS, self.added, width)

        better = list(pool.map(best, self.parts, self.excluded))
        self.keys_QK = np.concatenate([np.empty((0, width), dtype=np.int64), *better])
        self.added += len(candidates_nE)


def shared(a_QK: np.ndarray, b_QK: np.ndarray) -> np.ndarray:
    """int64 (Q,): how many results of a_QK are among those of b_QK; -1 is no result."""
    same_QK = (a_QK[:, :, None] == b_QK[:, None, :]).any(axis=2)
    return (same_QK & (a_QK >= 0)).sum(axis=1)


def _pairs(lists: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(number of the list, its value) of all values of all lists."""
    return np.repeat(np.arange(len(lists)), [len(one) for one in lists]), np.concatenate(lists).astype(np.int64)


def _scored(queries_QE: np.ndarray, candidates_nE: np.ndarray, k: int) -> np.ndarray:
    """float32 (Q, L, S): scores of candidate l S + s; those past the last are -inf.

    So the scores of a stretch lie S apart, and numpy compares all stretches of a query at once.
    """
    count = len(candidates_nE)
    length = min(STRETCH, max(1, count // (2 * k)))
    scores_QN = np.empty((len(queries_QE), -(-count // length) * length), dtype=np.float32)
    scores_QN[:, count:] = -np.inf
    np.matmul(queries_QE, candidates_nE.T, out=scores_QN[:, :count])
    return scores_QN.reshape(len(queries_QE), length, -1)


def _take_out(scores_QN: np.ndarray, query_P: np.ndarray, candidate_P: np.ndarray, first: int) -> None:
    """Sets the scores of excluded candidates to -inf; column 0 is candidate `first`."""
    here = (candidate_P >= first) & (candidate_P < first + scores_QN.shape[1])
    scores_QN[query_P[here], candidate_P[here] - first] = -np.inf


def _merged(keys_QK: np.ndarray, scores_QLS: np.ndarray, first: int, width: int) -> np.ndarray:
    """Keys (Q, width) of the best among those found before and the candidates from `first`, best first."""
    largest_QS = scores_QLS.max(axis=1)
    if keys_QK.shape[1] == width:  # a later one with the score of the worst of these stands behind it
        border_Q = np.nextafter(_scores(keys_QK[:, -1]), np.float32(np.inf))
    else:  # a score that so many stretches reach, and not many more scores
        reached = min(width, largest_QS.shape[1])
        border_Q = np.partition(largest_QS, -reached, axis=1)[:, -reached]
    query_P, index_P, score_P = _reaching(scores_QLS, largest_QS, border_Q)
    rank_P = np.arange(len(query_P)) - np.searchsorted(query_P, np.arange(len(keys_QK)))[query_P]
    fresh_QK = np.full((len(keys_QK), rank_P.max(initial=-1) + 1), NOTHING)
    fresh_QK[query_P, rank_P] = _keys(score_P, index_P + first)
    return np.sort(np.concatenate([keys_QK, fresh_QK], axis=1), axis=1)[:, :width]


def _reaching(
    scores_QLS: np.ndarray, largest_QS: np.ndarray, border_Q: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(query, candidate, score) of all scores that reach the border of their query, by query."""
    _, length, stretches = scores_QLS.shape
    query_P, stretch_P = np.divmod(np.flatnonzero(largest_QS >= border_Q[:, None]), stretches)
    scores_PL = scores_QLS[query_P, :, stretch_P]
    reaching = np.flatnonzero(scores_PL >= border_Q[query_P, None])
    place, step = np.divmod(reaching, length)
    return query_P[place], step * stretches + stretch_P[place], scores_PL.ravel()[reaching]


def _keys(scores: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """int64, smaller for a larger score and, of equal scores, for a smaller index; 0 and -0 are equal."""
    return _ordered((0 - scores).view(np.int32)).astype(np.int64) << 32 | indices


def _scores(keys: np.ndarray) -> np.ndarray:
    """float32: the scores that the keys were made of."""
    return 0 - _ordered((keys >> 32).astype(np.int32)).view(np.float32)


def _ordered(bits: np.ndarray) -> np.ndarray:
    """The bits of floats as int32 that have the floats' order, and back: of a negative one all but the sign turn."""
    return bits ^ (bits >> 31 & 0x7FFFFFFF)
