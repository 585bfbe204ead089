"""The words of the catalogue that fit a picture or texts (model/tags): words of consented Pins, that enough have.

A title of boards that nobody searched for is a word if enough users have it (model/data/board_titles.py).
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from model.data.catalogue import Catalogue
from model.data.forgotten import Forgotten
from model.tags.calibration import TagCalibration, nothing_fits
from model.tags.vocabulary import PinWords
from serving.service.messages import TagOut

NO_CATALOGUE = "This service has no catalogue, whose words could fit; start it with --catalogue."
NOT_CALIBRATED = (
    "The space {space} was published without held-out Pins that scores are measured on; publish a new version."
)


class Tags:
    def __init__(self, catalogue: Path | None) -> None:
        """
        Raises:
            CatalogueError: the catalogue cannot be read.
        """
        self._words = PinWords.read(Catalogue(catalogue)) if catalogue else None
        self._forgotten = Forgotten()

    def forget(self, forgotten: Forgotten) -> None:
        """A word that too few others have goes with these Pins and users."""
        if self._words and forgotten != self._forgotten:
            self._forgotten, self._words = forgotten, self._words.without(forgotten)

    def fitting(
        self,
        space: str,
        calibration: TagCalibration | None,
        given: str,
        nearest: Sequence[tuple[str, float]],
        most: int,
    ) -> tuple[list[TagOut], str | None]:
        """(at most `most` words, the best first; why there is none).

        nearest: Pins of the space with their cosines.
        """
        words = self._words
        if words is None or calibration is None:
            return [], NO_CATALOGUE if words is None else NOT_CALIBRATED.format(space=space)
        rows_K = words.pins.rows([pin_id for pin_id, _ in nearest])
        found, highest = calibration.tags(given, words, rows_K, np.array([cosine for _, cosine in nearest]), most)
        return [TagOut(**asdict(one)) for one in found], None if found else nothing_fits(highest)
