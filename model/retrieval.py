"""Exact nearest neighbours by dot product, a block of queries at a time.

Shape legend: Q queries · N candidates · E vector dimension · K results
"""

import numpy as np

BLOCK = 1024  # queries whose scores are held at once


def top_k(
    queries_QE: np.ndarray, candidates_NE: np.ndarray, k: int, excluded: list[np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(indices (Q, K), scores (Q, K)), best first, equal scores in index order; K = min(k, N).

    excluded: candidate indices that each query must not find; a query left with fewer than K gets -1, score -inf.
    """
    k = min(k, len(candidates_NE))
    indices = np.empty((len(queries_QE), k), dtype=np.int64)
    scores = np.empty((len(queries_QE), k), dtype=np.float32)
    for start in range(0, len(queries_QE), BLOCK):
        block = queries_QE[start : start + BLOCK] @ candidates_NE.T
        if excluded is not None:
            for row, gone in zip(block, excluded[start : start + BLOCK], strict=True):
                row[gone] = -np.inf
        best = _best(block, k)
        indices[start : start + BLOCK] = best
        scores[start : start + BLOCK] = np.take_along_axis(block, best, axis=1)
    indices[np.isneginf(scores)] = -1
    return indices, scores


def _best(scores_QN: np.ndarray, k: int) -> np.ndarray:
    """The k best of each row in order; where scores tie at the border, the smaller indices."""
    border = np.partition(scores_QN, -k, axis=1)[:, -k, None]
    best = np.empty((len(scores_QN), k), dtype=np.int64)
    for row, (scores, least) in enumerate(zip(scores_QN, border, strict=True)):
        reached = np.flatnonzero(scores >= least)
        best[row] = reached[np.argsort(-scores[reached], kind="stable")][:k]
    return best
