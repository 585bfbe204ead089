"""Exact nearest neighbours by dot product, a block of queries against a block of candidates at a time.

Shape legend: Q queries · N candidates · E vector dimension · K results
"""

from collections.abc import Iterable, Iterator

import numpy as np

BLOCK = 256  # queries whose scores are held at once
CANDIDATES = 4096  # candidates of a block: with BLOCK queries their scores fill 4 MiB, which stay in the cache
STRETCH = 64  # neighbouring scores of which the largest is looked at first


def top_k(
    queries_QE: np.ndarray, candidates_NE: np.ndarray, k: int, excluded: list[np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(indices (Q, K), scores (Q, K)), best first, equal scores in index order; K = min(k, N).

    excluded: candidate indices that each query must not find; a query left with fewer than K gets -1, score -inf.
    """
    return top_k_of_blocks(queries_QE, [candidates_NE], k, excluded)


def top_k_of_blocks(
    queries_QE: np.ndarray, blocks: Iterable[np.ndarray], k: int, excluded: list[np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """top_k over candidates that come in blocks (n, E) and are never held together."""
    indices = np.empty((len(queries_QE), 0), dtype=np.int64)
    scores = np.empty((len(queries_QE), 0), dtype=np.float32)
    first = 0
    for candidates_nE in _cut(blocks):
        width = min(k, first + len(candidates_nE))
        better = np.empty((len(queries_QE), width), dtype=np.int64), np.empty((len(queries_QE), width), np.float32)
        for start in range(0, len(queries_QE), BLOCK):
            part = slice(start, start + BLOCK)
            fresh = queries_QE[part] @ candidates_nE.T
            if excluded is not None:
                _take_out(fresh, excluded[part], first)
            better[0][part], better[1][part] = _merged(indices[part], scores[part], fresh, first, width)
        indices, scores = better
        first += len(candidates_nE)
    indices[np.isneginf(scores)] = -1
    return indices, scores


def _cut(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for block in blocks:
        yield from (block[start : start + CANDIDATES] for start in range(0, len(block), CANDIDATES))


def shared(a_QK: np.ndarray, b_QK: np.ndarray) -> np.ndarray:
    """int64 (Q,): how many results of a_QK are among those of b_QK; -1 is no result."""
    same_QK = (a_QK[:, :, None] == b_QK[:, None, :]).any(axis=2)
    return (same_QK & (a_QK >= 0)).sum(axis=1)


def _take_out(scores_Qn: np.ndarray, excluded: list[np.ndarray], first: int) -> None:
    """Sets the scores of excluded candidates to -inf; column 0 is candidate `first`."""
    row = np.repeat(np.arange(len(excluded)), [len(gone) for gone in excluded])
    column = np.concatenate(excluded).astype(np.int64) - first
    here = (column >= 0) & (column < scores_Qn.shape[1])
    scores_Qn[row[here], column[here]] = -np.inf


def _merged(
    indices_QK: np.ndarray, scores_QK: np.ndarray, scores_Qn: np.ndarray, first: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best `width` of what was found before and of the candidates from `first`."""
    if scores_QK.shape[1] == width:  # a later one with the score of the worst of these stands behind it
        better = scores_Qn > scores_QK[:, -1:]
    else:
        better = scores_Qn >= _border(scores_Qn, min(width, scores_Qn.shape[1]))[:, None]
    row, column = np.divmod(np.flatnonzero(better), scores_Qn.shape[1])
    before = np.repeat(np.arange(len(scores_QK)), scores_QK.shape[1])
    query = np.concatenate([before, row])
    index = np.concatenate([indices_QK.ravel(), column + first])
    score = np.concatenate([scores_QK.ravel(), scores_Qn[row, column]])
    order = np.lexsort((index, -score, query))  # by query, of each the best first, equal scores in index order
    best = order[np.searchsorted(query[order], np.arange(len(scores_Qn)))[:, None] + np.arange(width)]
    return index[best], score[best]


def _border(scores_Qn: np.ndarray, k: int) -> np.ndarray:
    """(Q,): a score that at least k of each row reach, and not many more.

    The k-th largest of the stretches' largest scores is one; looking for it takes a fraction of sorting the row.
    """
    count = scores_Qn.shape[1]
    stretch = min(STRETCH, count // (2 * k))
    if stretch < 2:
        return np.partition(scores_Qn, -k, axis=1)[:, -k]
    whole = count // stretch * stretch
    largest = scores_Qn[:, :whole].reshape(len(scores_Qn), -1, stretch).max(axis=2)
    return np.partition(largest, -k, axis=1)[:, -k]
