"""Greedy MAP of a determinantal point process (Chen et al., NeurIPS 2018), with an incremental Cholesky factor.

    L = Q s Q,  Q = diag(exp(f(r_i) / 2β)):  taking i multiplies det(L of the Pins shown) by exp(f(r_i) / β) d_i²
    U_i = f(r_i) + β log d_i²         d_i²: what is left of candidate i beside all Pins shown

FLOOR replaces a remainder of 0, so that a list longer than the vectors' dimension continues by utility.
Shape legend: N candidates · T slots
"""

import numpy as np

from model.diversification.candidates import Candidates
from model.diversification.config import DiversificationConfig
from model.diversification.similarity import Similarity

FLOOR = 1e-6


def rerank(candidates: Candidates, slots: int, config: DiversificationConfig) -> np.ndarray:
    """int64 (slots,): candidates by row, first slot first; window, decay, ridge and prefix_cost are ignored.

    Raises:
        RerankError: more slots than candidates.
    """
    candidates.check_slots(slots)
    similarity = Similarity.of(candidates, config)
    worth_N, left_N, order = candidates.gain(config), np.ones(len(candidates)), np.empty(slots, dtype=np.int64)
    factor_TN = np.zeros((slots, len(candidates)))  # column i: row i of the Cholesky factor
    for slot in range(slots):
        order[slot] = picked = int(np.argmax(worth_N + config.beta * np.log(np.maximum(left_N, FLOOR))))
        worth_N[picked] = -np.inf
        if left_N[picked] > FLOOR:  # otherwise the candidate adds nothing new and changes no remainder
            known_N = factor_TN[:slot, picked] @ factor_TN[:slot]
            factor_TN[slot] = (similarity.to(picked) - known_N) / np.sqrt(left_N[picked])
            left_N -= np.square(factor_TN[slot])
    return order
