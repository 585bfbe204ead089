"""Decoded images of a catalogue in one file of fixed-size records: decoded once, read in any order.

Records are read with pread, so memory holds one batch however many Pins there are.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from model.config import PrepareConfig
from model.cpus import cpus
from model.data.catalogue import Catalogue
from model.data.images.decoding import to_pixels
from model.errors import CatalogueError
from model.files import replaced
from model.parallel import in_small_lists


class Pixels:
    """uint8 images (N, S, S, 3) of the N Pins of a catalogue, in its order.

    Raises:
        CatalogueError: the file is missing, or was made for another image size or other Pins.
    """

    def __init__(self, path: Path, size: int, pins: int) -> None:
        self.size, self.record = size, size * size * 3
        if not path.is_file() or path.stat().st_size != pins * self.record:
            raise CatalogueError(
                f"{path} does not hold the {pins} Pins at {size} pixels; "
                "run the prepare step again with this vision.image_size."
            )
        self._file = path.open("rb")

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """uint8 (len(rows), S, S, 3)."""
        out = np.empty((len(rows), self.size, self.size, 3), dtype=np.uint8)
        for target, row in zip(out, rows, strict=True):
            os.preadv(self._file.fileno(), [target.reshape(-1).data], int(row) * self.record)
        return out


def decode_catalogue(
    catalogue: Catalogue,
    size: int,
    limits: PrepareConfig,
    path: Path,
    report: Callable[[float], None] = lambda fraction: None,
) -> None:
    """Writes the records of every Pin of a prepared catalogue, images of `size` pixels a side."""
    decode = partial(to_pixels, size=size, limits=limits)
    total, done = catalogue.count("pins"), 0
    with replaced(path) as scratch, scratch.open("wb") as file, ThreadPoolExecutor(cpus()) as pool:
        for images in _image_batches(catalogue):
            for pixels in in_small_lists(pool, decode, images):
                file.write(pixels.tobytes())
            done += len(images)
            report(done / total)


def _image_batches(catalogue: Catalogue) -> Iterator[list[bytes]]:
    for batch in catalogue.batches("pins", ["image"], rows=256):
        yield batch.column("image").to_pylist()
