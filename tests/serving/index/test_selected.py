"""A search of some Pins alone, against all cosines of those Pins."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from indexed_pins import AFFINE, DIM, PINS, at

from model.embedding.affine import unit_length

KINDS = ("exact", "hnsw", "ivf")


@dataclass(frozen=True)
class EveryNth:
    """The Pins p0, pn, p2n …"""

    n: int

    def mask(self, ids: pa.LargeStringArray) -> np.ndarray:
        numbers = pc.cast(pc.utf8_slice_codeunits(ids, 1), pa.int64()).to_numpy()
        return numbers % self.n == 0


@pytest.fixture(scope="module")
def queries():
    return unit_length(np.random.default_rng(3).normal(size=(40, DIM)).astype(np.float32))


def nearest(queries, codes, rows, k=10):
    cosines = queries @ AFFINE.vectors(codes[rows]).T
    return [[f"p{rows[place]}" for place in np.argsort(-row, kind="stable")[:k]] for row in cosines]


def recall(ids, right):
    return np.mean([len(set(found) & set(wanted)) / len(wanted) for found, wanted in zip(ids, right, strict=True)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [2, 10, 100])
def test_few_or_many_it_loses_none(kind, n, built, queries, codes):
    index = built(kind)
    ids, cosines = index.search(queries, 10, only=EveryNth(n))
    assert all(int(pin_id[1:]) % n == 0 for row in ids for pin_id in row if pin_id)
    assert recall(ids, nearest(queries, codes, np.arange(0, PINS, n))) >= (1 if kind == "exact" else 0.97)
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_fewer_than_were_asked_for_and_none_at_all(built, queries):
    index = built("hnsw")
    ids, cosines = index.search(queries, 10, only=EveryNth(PINS // 2))
    assert all(set(row) == {"p0", f"p{PINS // 2}", None} for row in ids) or PINS % 2
    assert np.isneginf(cosines[:, -1]).all()
    none, _ = index.search(queries, 5, exclude=[["p0"]] * len(queries), only=EveryNth(10 * PINS))
    assert all(pin_id is None for row in none for pin_id in row)


def test_pins_that_changed_or_came_since_are_chosen_too(built, queries, codes):
    index = built("hnsw", pins=400)
    one = queries[:1]
    index.delete(["p10"], at(1))
    index.upsert(["p20", "p401", "p1000"], AFFINE.quantize(np.repeat(one, 3, axis=0)), at(1, 1, 1))
    ids, _ = index.search(one, 3, only=EveryNth(10))
    assert set(ids[0][:2]) == {"p20", "p1000"}
    everything, _ = index.search(one, 400, only=EveryNth(10))
    assert {pin_id for pin_id in everything[0] if pin_id} == {f"p{i}" for i in range(0, 400, 10)} - {"p10"} | {"p1000"}
