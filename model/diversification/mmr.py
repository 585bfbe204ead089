"""Maximal Marginal Relevance (Carbonell & Goldstein, SIGIR 1998): what a candidate adds to the Pin most like it.

    U_i = f(r_i) − β max_j s(i, j)         j over all Pins shown

The usual λ r − (1 − λ) max s is the same order with β = (1 − λ) / λ. Shape legend: N candidates
"""

import numpy as np

from model.diversification.candidates import Candidates
from model.diversification.config import DiversificationConfig
from model.diversification.similarity import Similarity


def rerank(candidates: Candidates, slots: int, config: DiversificationConfig) -> np.ndarray:
    """int64 (slots,): candidates by row, first slot first; window, decay, ridge and prefix_cost are ignored.

    Raises:
        RerankError: more slots than candidates.
    """
    candidates.check_slots(slots)
    similarity = Similarity.of(candidates, config)
    worth_N, order = candidates.gain(config), np.empty(slots, dtype=np.int64)
    nearest_N = np.zeros(len(candidates), dtype=np.float32)
    for slot in range(slots):
        order[slot] = picked = int(np.argmax(worth_N - config.beta * nearest_N))
        worth_N[picked] = -np.inf
        likeness_N = similarity.to(picked)
        nearest_N = np.maximum(nearest_N, likeness_N) if slot else likeness_N
    return order
