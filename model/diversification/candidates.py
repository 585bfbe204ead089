"""What is put in order: candidates with their utility and their signals, checked once.

A Pin that was embedded seconds ago has a picture and often nothing else: no text, no edge in any walk. A signal that it
lacks is a row of zeros, which says "not known" and not "unlike everything": see similarity.py.

Shape legend: N candidates · E dimension of a signal's vectors (each signal has its own) · L levels of a semantic ID ·
R sets of Pins to be spaced
"""

from dataclasses import dataclass

import numpy as np

from model.diversification.config import DiversificationConfig
from model.errors import RerankError

SIGNALS = ("visual", "text", "graph")


@dataclass(frozen=True)
class Candidates:
    """utility: what the ranker says, higher is better. Vectors may have any length; a row of zeros is a missing signal.

    ids: codes of model/features/semantic_ids.py, which a Pin has as soon as it has a vector.
    spaced: for each set of Pins that should not stand close together (advertisements, say), what a Pin of the set costs
    right after another of it.

    Raises:
        RerankError: there is nothing to order, arrays do not have one row a candidate, or a value is not finite.
    """

    utility: np.ndarray  # (N,)
    visual: np.ndarray | None = None  # (N, E)
    text: np.ndarray | None = None
    graph: np.ndarray | None = None
    ids: np.ndarray | None = None  # (N, L) whole numbers
    spaced: np.ndarray | None = None  # (N, R): the cost of each set, 0 where the candidate is not in it

    def __post_init__(self) -> None:
        _check("utility", self.utility, 1, len(self.utility))
        if not len(self.utility):
            raise RerankError("There are no candidates to put in order; pass at least one.")
        for name, vectors in self.signals.items():
            _check(name, vectors, 2, len(self.utility))
        if self.ids is not None:
            _check("ids", self.ids, 2, len(self.utility))
        if self.spaced is not None:
            _check("spaced", self.spaced, 2, len(self.utility))

    def __len__(self) -> int:
        return len(self.utility)

    @property
    def signals(self) -> dict[str, np.ndarray]:
        """The signals that there are, by name."""
        return {name: vectors for name in SIGNALS if (vectors := getattr(self, name)) is not None}

    def gain(self, config: DiversificationConfig) -> np.ndarray:
        """f(r), a new float64 (N,): utility as `config.utility` says; where all are equal, as it is."""
        utility_N = np.asarray(self.utility, dtype=np.float64)
        spread = float(utility_N.std()) if config.utility == "standardized" else 0.0
        return utility_N / (spread or 1.0)

    def check_slots(self, slots: int) -> None:
        """Raises RerankError where `slots` is not between 1 and the number of candidates."""
        if not 1 <= slots <= len(self):
            raise RerankError(f"{slots} slots cannot be filled from {len(self)} candidates; ask for 1 to {len(self)}.")


def _check(name: str, values: np.ndarray, dimensions: int, rows: int) -> None:
    if values.ndim != dimensions or len(values) != rows:
        raise RerankError(f"{name} has shape {values.shape}; pass one row for each of the {rows} candidates.")
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values).reshape(rows, -1).all(1))[0])
        raise RerankError(f"{name} of candidate {bad} is not finite; leave that candidate out, or fix its value.")
