"""Exact nearest neighbours by dot product, a block of queries against a block of candidates at a time.

Shape legend: Q queries · N candidates · E vector dimension · K results
"""

from collections.abc import Iterable

import numpy as np

BLOCK = 256  # queries whose scores are held at once
CANDIDATES = 8192  # candidates of a block


def top_k(
    queries_QE: np.ndarray, candidates_NE: np.ndarray, k: int, excluded: list[np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(indices (Q, K), scores (Q, K)), best first, equal scores in index order; K = min(k, N).

    excluded: candidate indices that each query must not find; a query left with fewer than K gets -1, score -inf.
    """
    blocks = (candidates_NE[start : start + CANDIDATES] for start in range(0, len(candidates_NE), CANDIDATES))
    return top_k_of_blocks(queries_QE, blocks, k, excluded)


def top_k_of_blocks(
    queries_QE: np.ndarray, blocks: Iterable[np.ndarray], k: int, excluded: list[np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """top_k over candidates that come in blocks (n, E) and are never held together."""
    indices = np.empty((len(queries_QE), 0), dtype=np.int64)
    scores = np.empty((len(queries_QE), 0), dtype=np.float32)
    first = 0
    for candidates_nE in blocks:
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


def _take_out(scores_Qn: np.ndarray, excluded: list[np.ndarray], first: int) -> None:
    """Sets the scores of excluded candidates to -inf; column 0 is candidate `first`."""
    for row, gone in zip(scores_Qn, excluded, strict=True):
        row[gone[(gone >= first) & (gone < first + len(row))] - first] = -np.inf


def _merged(
    indices_QK: np.ndarray, scores_QK: np.ndarray, scores_Qn: np.ndarray, first: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best `width` of what was found before and of the candidates from `first`."""
    scores = np.concatenate([scores_QK, scores_Qn], axis=1)
    numbers = np.broadcast_to(np.arange(first, first + scores_Qn.shape[1]), scores_Qn.shape)
    best = _best(scores, width)  # the earlier ones stand in front, so that equal scores keep index order
    found = np.take_along_axis(np.concatenate([indices_QK, numbers], axis=1), best, axis=1)
    return found, np.take_along_axis(scores, best, axis=1)


def _best(scores_QN: np.ndarray, k: int) -> np.ndarray:
    """The k best of each row in order; where scores tie at the border, the smaller indices."""
    border = np.partition(scores_QN, -k, axis=1)[:, -k, None]
    best = np.empty((len(scores_QN), k), dtype=np.int64)
    for row, (scores, least) in enumerate(zip(scores_QN, border, strict=True)):
        reached = np.flatnonzero(scores >= least)
        best[row] = reached[np.argsort(-scores[reached], kind="stable")][:k]
    return best
