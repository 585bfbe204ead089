"""The nearest Pins propose their words. What speaks for a word is how near the Pins are that have it.

    share(τ) = Σ_k exp(cos_k / τ) [Pin k has it] / Σ_k exp(cos_k / τ)

Features of a proposal: log-odds of the share among the very nearest (τ = 0.05) and among all (τ = 0.2), the cosine of
the nearest Pin that has the word, and the logarithm of the share of all Pins that have it. The cosine of the query with
the word's own vector was tried too: it hardly helps where a picture is given, and costs a pass of the text tower.

Shape legend: K nearest Pins · N Pins of the vocabulary · T words · C proposed words · F features
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

NEIGHBOURS = 50
SHARP, BROAD = 0.05, 0.2  # τ
EDGE = 0.01  # keeps log-odds finite


@dataclass(frozen=True)
class Proposals:
    words_C: np.ndarray  # int64, numbers of words
    features_CF: np.ndarray  # float64


def proposals(
    rows_K: np.ndarray,
    cosines_K: np.ndarray,
    carried_NT: sp.csr_array,
    counts_T: np.ndarray,
    users_T: np.ndarray,
    least: int,
) -> Proposals:
    """Words that at least `least` Pins (counts_T) and users (users_T) have; rows are those of the vocabulary, -1: a Pin
    that it lacks."""
    known_K = rows_K >= 0
    cosines_K, own_KT = cosines_K[known_K].astype(np.float64), carried_NT[rows_K[known_K]]
    words_C = np.unique(own_KT.indices).astype(np.int64)
    words_C = words_C[np.minimum(counts_T[words_C], users_T[words_C]) >= least]
    if not len(words_C):
        return Proposals(words_C, np.zeros((0, 4)))
    has_KC = own_KT[:, words_C].toarray() > 0
    odds = [_log_odds(_weights(cosines_K, tau) @ has_KC) for tau in (SHARP, BROAD)]
    nearest_C = np.where(has_KC, cosines_K[:, None], -1.0).max(axis=0)
    frequency_C = np.log(counts_T[words_C] / carried_NT.shape[0])
    return Proposals(words_C, np.stack([*odds, nearest_C, frequency_C], axis=1))


def _weights(cosines_K: np.ndarray, tau: float) -> np.ndarray:
    weights_K = np.exp((cosines_K - cosines_K.max()) / tau)
    return weights_K / weights_K.sum()


def _log_odds(share_C: np.ndarray) -> np.ndarray:
    return np.log((share_C + EDGE) / (1 - share_C + EDGE))
