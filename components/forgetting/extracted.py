"""What frozen towers gave for the Pins' images and texts (model/extraction/records.py), known by their content alone.

A text or an image that another Pin has too is computed again for that Pin.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from components.forgetting.pins import Pins
from components.forgetting.place import Counts
from components.settings import EXTRACTED, Settings


class Extracted:
    name = "frozen towers"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def find(self, pins: Pins) -> Counts:
        parts = list(self._parts())
        if not parts:
            return {}
        from model.extraction.records import count_in  # torch: only where something is kept

        keys = _keys(pins)
        return {str(part.relative_to(self.settings.home)): count_in(part, keys) for part in parts}

    def erase(self, pins: Pins) -> Counts:
        found = self.find(pins)
        if any(found.values()):
            from model.extraction.records import remove_from

            keys = _keys(pins)
            for spot, count in found.items():
                if count:
                    remove_from(self.settings.home / spot, keys)
        return found

    def _parts(self) -> Iterator[Path]:
        for facts in sorted((self.settings.home / EXTRACTED).glob("*/[!.]*/part.json")):
            yield facts.parent


def _keys(pins: Pins) -> np.ndarray:
    from model.extraction.records import keys_of_hex, text_keys

    images = [hashlib.sha256(image).hexdigest() for image in pins.images]
    return np.concatenate([keys_of_hex(images), text_keys(sorted(pins.texts))])
