"""Recall@K and NDCG@K of ranked results. Pure: numpy in, numbers out.

Shape legend: Q queries · K results
"""

from collections.abc import Sequence

import numpy as np


def hits(ranked_QK: np.ndarray, relevant: Sequence[np.ndarray]) -> np.ndarray:
    """Bool (Q, K): is the result relevant? -1 in `ranked_QK` is no result."""
    found = [np.isin(row, wanted) & (row >= 0) for row, wanted in zip(ranked_QK, relevant, strict=True)]
    return np.stack(found) if found else np.zeros(ranked_QK.shape, dtype=bool)


def recall_at_k(hits_QK: np.ndarray, relevant_Q: np.ndarray, k: int) -> np.ndarray:
    """(Q,): relevant results among the first k, over the most there could be, min(k, relevant).

    So a perfect ranking scores 1 even where more Pins are relevant than k.
    """
    return hits_QK[:, :k].sum(1) / np.minimum(relevant_Q, k)


def ndcg_at_k(hits_QK: np.ndarray, relevant_Q: np.ndarray, k: int) -> np.ndarray:
    """(Q,): discounted gain of the hits over that of a perfect ranking, binary relevance (Järvelin 2002)."""
    discount_K = 1 / np.log2(np.arange(2, k + 2))
    gain_Q = (hits_QK[:, :k] * discount_K[: hits_QK[:, :k].shape[1]]).sum(1)
    return gain_Q / np.cumsum(discount_K)[np.minimum(relevant_Q, k) - 1]
