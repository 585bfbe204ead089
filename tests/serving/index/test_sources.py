"""Building from the shards of a space, as publishing leaves them."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from feature_home import CREATED, space_manifest

from model.embedding.affine import Affine
from model.embedding.columns import as_binary
from model.errors import VectorIndexError
from serving.index import IndexConfig, PinIndex
from serving.rows import write_rows
from serving.space import SpaceManifest

EXACT = IndexConfig("exact")


def write_shard(space, name, ids, packed_NB, time=CREATED):
    write_rows(space.folder / f"{name}.parquet", pa.array(ids), as_binary(packed_NB.view(np.uint8)), time, time)


def publish(home, affine, codes_NE):
    """Two shards and a manifest."""
    space = space_manifest(home, affine, "v7", len(codes_NE))
    for number, part in enumerate(np.array_split(np.arange(len(codes_NE)), 2)):
        write_shard(space, f"{number:05d}", [f"p{row}" for row in part], affine.pack(codes_NE[part]))
    space.write()
    return SpaceManifest.read(home, "v7")


@pytest.mark.parametrize("bits", [8, 4])
def test_every_published_vector_is_in_the_index(bits, tmp_path):
    affine = Affine(scale=0.05, zero_point=1, bits=bits, dim=9)
    codes = np.random.default_rng(0).integers(-8, 8, (31, 9), dtype=np.int8)
    index = PinIndex.of_published(publish(tmp_path, affine, codes), EXACT)
    assert (index.space, index.affine, len(index)) == ("v7", affine, 31)
    assert np.allclose(index.vectors([f"p{row}" for row in range(31)])[0], affine.vectors(codes))
    assert index.upsert(["p3"], codes[:1], [CREATED - timedelta(seconds=1)]) == ["p3"]  # older than its publication
    assert index.upsert(["p3"], codes[:1], [CREATED + timedelta(seconds=1)]) == []


def test_a_row_pushed_later_counts_instead_of_the_published_one(tmp_path):
    affine = Affine(scale=0.05, zero_point=0, bits=8, dim=4)
    codes = np.random.default_rng(1).integers(-128, 128, (10, 4), dtype=np.int8)
    space = publish(tmp_path, affine, codes)
    write_shard(space, "pushed", ["p2", "new"], codes[[7, 8]], CREATED + timedelta(hours=1))
    index = PinIndex.of_published(space, EXACT)
    assert len(index) == 11
    assert np.allclose(index.vectors(["p1", "p2", "new"])[0], affine.vectors(codes[[1, 7, 8]]))


def test_shards_that_break_their_contract(tmp_path):
    affine = Affine(scale=0.05, zero_point=0, bits=8, dim=4)
    codes = np.random.default_rng(2).integers(-128, 128, (10, 4), dtype=np.int8)
    space = publish(tmp_path, affine, codes)
    write_shard(space, "00000", ["p0", "p1"], codes[:2])
    with pytest.raises(VectorIndexError, match=r"holds 7 Pins, its manifest says 10; publish the space again"):
        PinIndex.of_published(space, EXACT)
    write_shard(space, "00002", ["x", "y", "z"], codes[:3, :3])
    with pytest.raises(VectorIndexError, match=r"The vector of the Pin 'x' in .*00002\.parquet has not the 4 bytes"):
        PinIndex.of_published(space, EXACT)
    for shard in space.shards:
        shard.unlink()
    with pytest.raises(VectorIndexError, match="holds 0 Pins, its manifest says 10"):
        PinIndex.of_published(space, EXACT)
