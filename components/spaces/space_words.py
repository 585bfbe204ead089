"""A published space with the words of its catalogue: what `pinclip tag` looks pictures up in.

Shape legend: N Pins of the space · n queries · E vector dimension
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.settings import Settings
from components.spaces.paths import state_folder
from components.spaces.published_spaces import published_spaces
from components.tombstones import source_catalogue
from model.embedding.retrieval import CANDIDATES, top_k_of_blocks
from model.errors import StoreError
from model.tags.calibration import TAGS_FILE, Tag, TagCalibration
from model.tags.evidence import NEIGHBOURS
from model.tags.vocabulary import PinWords
from serving.rows import VectorRows
from serving.space import SpaceManifest

MOST = 10  # tags of a picture


@dataclass(frozen=True)
class SpaceWords:
    space: SpaceManifest
    rows: VectorRows
    words: PinWords
    calibration: TagCalibration

    @staticmethod
    def read(version: int | None, catalogue: Path | None, settings: Settings) -> "SpaceWords":
        """version: None, the one that serves. catalogue: None, the one that the space was made of.

        Raises:
            StoreError: the version has no space here, or one without calibrated scores; or a file is damaged.
            CatalogueError: the catalogue is no longer there, or cannot be read.
            VectorIndexError: a shard of the space is damaged.
        """
        manifests, serving = published_spaces(settings)
        space = manifests[serving]
        if version is not None:
            named = [one for one in manifests.values() if one.model_version == version]
            if not named:
                versions = ", ".join(str(one.model_version) for one in manifests.values())
                raise StoreError(f"Version {version} has no published space; these have: {versions}.")
            space = named[0]
        calibration = TagCalibration.read(state_folder(space.name, settings) / TAGS_FILE)
        if calibration is None:
            raise StoreError(
                f"The space {space.name} was published without held-out Pins that scores are measured on; publish a "
                "new version."
            )
        words = PinWords.read(source_catalogue(catalogue or Path(space.lineage.get("catalogue", "")), settings))
        return SpaceWords(space, space.newest(), words, calibration)

    def of_vectors(self, vectors_nE: np.ndarray) -> list[tuple[list[Tag], float]]:
        """Of each picture: see TagCalibration.tags."""
        near, cosines = top_k_of_blocks(vectors_nE, self._blocks(), NEIGHBOURS)
        rows_N = self.words.pins.all_rows(self.rows.ids)
        return [
            self.calibration.tags("picture", self.words, rows_N[near_K], cosines_K, MOST)
            for near_K, cosines_K in zip(near, cosines, strict=True)
        ]

    def _blocks(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self.rows), CANDIDATES):
            yield self.space.affine.vectors(self.rows.codes_NE[start : start + CANDIDATES])
