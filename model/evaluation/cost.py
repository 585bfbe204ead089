"""What a model costs where it serves: milliseconds of one Pin alone, bytes of its weights, bytes of a stored vector.

    cost(ours, champion)   ->  {"latency_ms": {"ours": 4.1, "champion": 4.3}, "weights_bytes": …, "vector_bytes": …}

Both models are timed in one process, Pin by Pin in turns, so that other work on the machine slows both alike.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from model.data.catalogue import TEXT_SIGNALS, Catalogue, joined_texts
from model.data.pixels import Pixels
from model.embedding.affine import Affine
from model.embedding.embedder import Embedder

WARM = 5  # Pins that go before, unmeasured


@dataclass(frozen=True)
class Side:
    """A model folder, a prepared folder at its image size, the rows of the Pins to time, bits of a stored number."""

    model: Path
    prepared: Path
    rows: np.ndarray
    bits: int


def cost(ours: Side, champion: Side | None) -> dict[str, dict[str, float | None]]:
    """None for a champion that is not there."""
    sides = [ours, champion] if champion else [ours]
    embedders = [Embedder(side.model) for side in sides]
    codes = [Affine(1.0, 0, side.bits, one.dim) for side, one in zip(sides, embedders, strict=True)]
    figures: dict[str, list[float]] = {
        "latency_ms": medians([_calls(*pair) for pair in zip(embedders, sides, strict=True)]),
        "weights_bytes": [(side.model / "model.safetensors").stat().st_size for side in sides],
        "vector_bytes": [code.bytes_per_pin for code in codes],
    }
    return {name: {"ours": of[0], "champion": of[1] if champion else None} for name, of in figures.items()}


def medians(sides: Sequence[Sequence[Callable[[], object]]]) -> list[float]:
    """Median milliseconds of a side's calls; the sides, of as many calls each, take turns."""
    seconds: list[list[float]] = [[] for _ in sides]
    for call in (call for calls in sides for call in calls[:WARM]):
        call()
    for turn in zip(*sides, strict=True):
        for side, call in zip(seconds, turn, strict=True):
            started = time.perf_counter()
            call()
            side.append(time.perf_counter() - started)
    return [round(1000 * float(np.median(side)), 3) for side in seconds]


def _calls(embedder: Embedder, side: Side) -> list[Callable[[], object]]:
    """One for each Pin: it alone, from pixels and texts to its vector in this process's memory."""
    catalogue = Catalogue(side.prepared / "catalogue")
    pixels = Pixels(side.prepared / "pixels.u8", embedder.config.vision.image_size, catalogue.count("pins"))
    table = catalogue.read("pins", TEXT_SIGNALS).take(side.rows)
    columns = [joined_texts(table[name].to_pylist()) for name in TEXT_SIGNALS]
    texts = [dict(zip(TEXT_SIGNALS, values, strict=True)) for values in zip(*columns, strict=True)]
    has = np.ones(1, dtype=bool)
    images = pixels.read(side.rows)
    return [partial(embedder.block, i[None], has, [text]) for i, text in zip(images, texts, strict=True)]
