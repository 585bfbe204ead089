"""The records of one run: which belong to the Pins of its catalogue, and to its texts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from model.errors import ModelError
from model.extraction.extract import image_keys
from model.extraction.records import Records, text_keys


@dataclass(frozen=True)
class Extraction:
    """Records of images and of texts; None where that tower is not kept."""

    images: Records | None = None
    texts: Records | None = None

    @classmethod
    def read(cls, file: Path | None) -> "Extraction":
        """Of extraction.json; without one, of no tower.

        Raises:
            ModelError: the records are damaged.
        """
        facts = json.loads(file.read_text(encoding="utf-8")) if file else {}
        return cls(*(_records(facts.get(name)) for name in ("images", "texts")))

    def check(self, image_tower: str | None, text_tower: str | None) -> None:
        """Raises ModelError where the records are not those of these towers."""
        for name, records, tower in (("images", self.images, image_tower), ("texts", self.texts, text_tower)):
            if (records.tower if records else None) != tower:
                raise ModelError(
                    f"What is kept for {name} is not of the tower in the settings; run the extract step again with "
                    "these settings."
                )

    def of_pins(self, prepared: Path) -> np.ndarray:
        """int64 (Pins,): the numbers of their images' records, in the catalogue's order."""
        assert self.images is not None
        return _all(self.images, image_keys(prepared))

    def of_texts(self, texts: Sequence[str]) -> np.ndarray:
        """int64 (texts,): the numbers of their records."""
        assert self.texts is not None
        return _all(self.texts, text_keys(texts))

    def text_vectors(self, texts: Sequence[str]) -> Tensor:
        """bfloat16 (texts, H)."""
        assert self.texts is not None
        return self.texts.read(self.of_texts(texts))


NONE_KEPT = Extraction()


def kept_folders(file: Path | None) -> list[Path]:
    """The folders of the records that extraction.json names."""
    facts = json.loads(file.read_text(encoding="utf-8")) if file else {}
    return [Path(one["folder"]) for one in facts.values()]


def _records(facts: dict[str, Any] | None) -> Records | None:
    return Records(Path(facts["folder"]), facts["tower"], facts["shape"]) if facts else None


def _all(records: Records, keys_NK: np.ndarray) -> np.ndarray:
    numbers = records.find(keys_NK)
    if absent := int((numbers < 0).sum()):
        raise ModelError(
            f"{records.folder} lacks {absent:,} of {len(numbers):,} records; run the extract step again on this "
            "catalogue."
        )
    return numbers
