"""Recall@K and NDCG@K of ranked results. Pure: numpy in, numbers out.

Shape legend: Q queries · K results
"""

from collections.abc import Sequence

import numpy as np


def hits(ranked_QK: np.ndarray, relevant: Sequence[np.ndarray]) -> np.ndarray:
    """Bool (Q, K): is the result relevant? -1 in `ranked_QK` is no result."""
    return hits_of_pairs(ranked_QK, *flat(relevant))


def hits_of_pairs(ranked_QK: np.ndarray, asking: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """As `hits`, where (asking, wanted) are the query and the place of every relevant result."""
    query_QK = np.broadcast_to(np.arange(len(ranked_QK))[:, None], ranked_QK.shape)
    return among(query_QK, ranked_QK, asking, wanted)


def flat(lists: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(number of the list, its value) of all values of all lists."""
    number = np.repeat(np.arange(len(lists)), [len(one) for one in lists])
    return number, np.concatenate([np.empty(0, dtype=np.int64), *lists]).astype(np.int64)


def among(query: np.ndarray, place: np.ndarray, of_query: np.ndarray, of_place: np.ndarray) -> np.ndarray:
    """Bool: is the pair (query, place) one of (of_query, of_place)? A place below 0 is none."""
    span = max(place.max(initial=0), of_place.max(initial=0)) + 1
    pairs, stated = query * span + place, of_place >= 0
    sought = np.sort(of_query[stated] * span + of_place[stated], kind="stable")  # often sorted: then as quick as a look
    if not len(sought):
        return np.zeros(pairs.shape, dtype=bool)
    at = np.minimum(np.searchsorted(sought, pairs), len(sought) - 1)
    return (sought[at] == pairs) & (place >= 0)


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
