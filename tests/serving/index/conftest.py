"""Clustered vectors, their codes, and indexes of them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings
from indexed_pins import AFFINE, DIM, PINS, rows

from model.embedding.affine import unit_length
from serving.index import IndexConfig, PinIndex

settings.register_profile("patient", deadline=None, max_examples=50)  # other work shares the processor
settings.load_profile("patient")


@pytest.fixture(scope="session")
def vectors():
    """float32 (PINS, DIM) around 40 centres."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, DIM))
    points = centres[rng.integers(40, size=PINS)] + 0.5 * rng.normal(size=(PINS, DIM))
    return unit_length(points.astype(np.float32))


@pytest.fixture(scope="session")
def codes(vectors):
    return AFFINE.quantize(vectors)


@pytest.fixture(scope="session")
def built(codes) -> Callable[..., PinIndex]:
    """Call with a kind, and how many of the Pins p0 … it holds; a new index each time."""

    def build(kind: str, pins: int = PINS, **settings: int) -> PinIndex:
        ids = [f"p{row}" for row in range(pins)]
        return PinIndex.build([rows(ids, codes[:pins])], "v7", AFFINE, IndexConfig(kind, **settings))

    return build
