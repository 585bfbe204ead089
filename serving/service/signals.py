"""What reranking knows of candidates beside their vectors: the words and boards that they share in the catalogue."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model.data.catalogue import Catalogue
from model.data.forgotten import Forgotten
from model.diversification.catalogue_signals import CatalogueSignal


class Signals:
    def __init__(self, catalogue: Path | None) -> None:
        """
        Raises:
            CatalogueError: the catalogue cannot be read.
        """
        opened = Catalogue(catalogue) if catalogue else None
        self._signals = [CatalogueSignal.words(opened), CatalogueSignal.boards(opened)] if opened else []
        self._forgotten = Forgotten()

    def forget(self, forgotten: Forgotten) -> None:
        if forgotten != self._forgotten:
            self._forgotten, self._signals = forgotten, [one.without(forgotten) for one in self._signals]

    def of(self, ids: Sequence[str], least: int) -> dict[str, np.ndarray]:
        """`text` and `graph`: float32 (N, G) each, zeros for a Pin of which nothing is known; none without a catalogue.

        least: Pins that must have a word, and be on a board, for it to count.
        """
        signals = dict(zip(("text", "graph"), self._signals, strict=False))
        rows_N = self._signals[0].pins.rows(ids) if signals else np.zeros(0, np.int64)
        return {name: signal.of_rows(rows_N, least) for name, signal in signals.items()}
