"""Likeness of candidates: a weighted mix of the cosines of their signals.

    s(i, j) = Σ_m weight_m has_im has_jm cos_m(i, j)  /  √(Σ_m weight_m has_im · Σ_m weight_m has_jm)

Each candidate's signals stand side by side in one float32 row, each of length √weight_m, and the row is brought to
length 1 over the signals that the candidate has. So s(i, i) = 1, s is positive semidefinite, and the likeness of one
candidate to all is one matrix–vector product. A Pin without text and edges is as like another such Pin as their
pictures are, and less like a Pin of which more is known. Dividing by the weight of the shared signals instead would
make it too like everything and show fresh Pins too seldom; not dividing at all, too often. The part "hidden" of
benchmarks/diversification.py measures that.

Shape legend: N candidates · E dimensions of a signal's vectors · D dimensions of all signals together · M signals
"""

from dataclasses import dataclass

import numpy as np

from model.diversification.candidates import Candidates
from model.diversification.config import DiversificationConfig

TINY = np.float32(1e-12)  # divides rows of zeros, which stay zeros: 1 / TINY ** 1.5 is a float32


@dataclass(frozen=True)
class Similarity:
    features_ND: np.ndarray  # rows of length 1, zeros where a candidate has no signal at all

    @staticmethod
    def of(candidates: Candidates, config: DiversificationConfig) -> "Similarity":
        """Signals of weight 0 are left out."""
        signals = {name: x for name, x in candidates.signals.items() if getattr(config, name) > 0}
        weights_M = np.array([getattr(config, name) for name in signals], dtype=np.float32)
        lengths_MN = np.array([_lengths(x_NE) for x_NE in signals.values()]).reshape(len(signals), len(candidates))
        share_N = weights_M @ (lengths_MN > 0)
        features_ND = np.empty((len(candidates), sum(x.shape[1] for x in signals.values())), dtype=np.float32)
        start = 0
        for x_NE, weight, length_N in zip(signals.values(), weights_M, lengths_MN, strict=True):
            scale_N = np.sqrt(weight / np.maximum(share_N, TINY)) / np.maximum(length_N, TINY)
            np.multiply(x_NE, scale_N[:, None], out=features_ND[:, start : start + x_NE.shape[1]])
            start += x_NE.shape[1]
        return Similarity(features_ND)

    def to(self, row: int) -> np.ndarray:
        """float32 (N,): likeness of all candidates to candidate `row`."""
        return self.features_ND @ self.features_ND[row]

    def among(self, rows: np.ndarray) -> np.ndarray:
        """float32 (len(rows), len(rows)): likeness of these candidates to each other."""
        return self.features_ND[rows] @ self.features_ND[rows].T


def _lengths(x_NE: np.ndarray) -> np.ndarray:
    """float32 (N,)"""
    return np.sqrt(np.einsum("ne,ne->n", x_NE, x_NE, dtype=np.float32))
