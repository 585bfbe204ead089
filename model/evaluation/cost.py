"""What a model costs in serving: milliseconds of one Pin alone, bytes of its weights, bytes of a stored vector.

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

WARM = 5  # warm-up Pins, not measured


@dataclass(frozen=True)
class TimedModel:
    """A model folder, a prepared folder at its image size, the rows of the Pins to time, bits of a stored number."""

    folder: Path
    prepared: Path
    rows: np.ndarray
    bits: int


def cost(ours: TimedModel, champion: TimedModel | None) -> dict[str, dict[str, float | None]]:
    """None for a champion that is not there."""
    models = [ours, champion] if champion else [ours]
    embedders = [Embedder(model.folder) for model in models]
    codes = [Affine(1.0, 0, model.bits, one.dim) for model, one in zip(models, embedders, strict=True)]
    figures: dict[str, list[float]] = {
        "latency_ms": medians([_calls(*pair) for pair in zip(embedders, models, strict=True)]),
        "weights_bytes": [(model.folder / "model.safetensors").stat().st_size for model in models],
        "vector_bytes": [code.bytes_per_pin for code in codes],
    }
    return {name: {"ours": of[0], "champion": of[1] if champion else None} for name, of in figures.items()}


def medians(models: Sequence[Sequence[Callable[[], object]]]) -> list[float]:
    """Median milliseconds of each model's calls; the models, of as many calls each, take turns."""
    seconds: list[list[float]] = [[] for _ in models]
    for call in (call for calls in models for call in calls[:WARM]):
        call()
    for turn in zip(*models, strict=True):
        for of_model, call in zip(seconds, turn, strict=True):
            started = time.perf_counter()
            call()
            of_model.append(time.perf_counter() - started)
    return [round(1000 * float(np.median(of_model)), 3) for of_model in seconds]


def _calls(embedder: Embedder, timed: TimedModel) -> list[Callable[[], object]]:
    """One call for each Pin, encoded alone: from pixels and texts in memory to its vector."""
    catalogue = Catalogue(timed.prepared / "catalogue")
    pixels = Pixels(timed.prepared / "pixels.u8", embedder.config.vision.image_size, catalogue.count("pins"))
    table = catalogue.read("pins", TEXT_SIGNALS).take(timed.rows)
    columns = [joined_texts(table[name].to_pylist()) for name in TEXT_SIGNALS]
    texts = [dict(zip(TEXT_SIGNALS, values, strict=True)) for values in zip(*columns, strict=True)]
    has = np.ones(1, dtype=bool)
    images = pixels.read(timed.rows)
    return [partial(embedder.block, i[None], has, [text]) for i, text in zip(images, texts, strict=True)]
