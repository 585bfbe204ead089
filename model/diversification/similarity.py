"""Likeness of candidates: a weighted mix of the cosines of their signals, over the signals that both have.

    s(i, j) = Σ_m weight_m has_im has_jm cos_m(i, j)  /  Σ_m weight_m has_im has_jm          0 where they share none

The signals stand side by side in one float32 matrix, each row of length 1 times the root of its weight, so that the
likeness of a candidate to all is one matrix–vector product. A missing signal is left out of both sums: a copy of a
picture is a copy, s = 1, even where one of the two has no text and no neighbours yet. The price is that s need not be
positive semidefinite once signals are missing; what reads it must bear slightly negative eigenvalues.

Shape legend: N candidates · D dimensions of all signals together · M signals
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from model.diversification.candidates import Candidates
from model.diversification.config import DiversificationConfig


@dataclass(frozen=True)
class Similarity:
    features_ND: np.ndarray
    has_NM: np.ndarray  # root of the signal's weight, 0 where the candidate lacks it
    complete: bool  # nobody lacks anything

    @staticmethod
    def of(candidates: Candidates, config: DiversificationConfig) -> "Similarity":
        """Signals of weight 0 are left out."""
        signals = {name: x for name, x in candidates.signals.items() if getattr(config, name) > 0}
        shares = np.array([getattr(config, name) for name in signals], dtype=np.float32)
        roots_M = np.sqrt(shares / shares.sum()) if len(shares) else shares
        features_ND = np.empty((len(candidates), sum(x.shape[1] for x in signals.values())), dtype=np.float32)
        has_NM = np.empty((len(candidates), len(signals)), dtype=np.float32)
        for m, (x_NE, part) in enumerate(zip(signals.values(), _parts(list(signals.values())), strict=True)):
            lengths_N = np.sqrt(np.einsum("ne,ne->n", x_NE, x_NE))
            has_NM[:, m] = roots_M[m] * (lengths_N > 0)
            np.multiply(x_NE, (has_NM[:, m] / np.maximum(lengths_N, 1e-30))[:, None], out=features_ND[:, part])
        return Similarity(features_ND, has_NM, bool(has_NM.shape[1] and has_NM.all()))

    def to(self, row: int) -> np.ndarray:
        """float32 (N,): likeness of all candidates to candidate `row`."""
        mixed_N = self.features_ND @ self.features_ND[row]
        if self.complete:
            return mixed_N
        shared_N = self.has_NM @ self.has_NM[row]
        return np.divide(mixed_N, shared_N, out=np.zeros_like(mixed_N), where=shared_N > 0)

    def among(self, rows: np.ndarray) -> np.ndarray:
        """float32 (len(rows), len(rows)): likeness of these candidates to each other."""
        return np.stack([self.to(row)[rows] for row in rows])


def _parts(signals: list[np.ndarray]) -> Iterator[slice]:
    """The columns of each signal."""
    start = 0
    for x_NE in signals:
        yield slice(start, start + x_NE.shape[1])
        start += x_NE.shape[1]
