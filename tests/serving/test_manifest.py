"""The manifest of a space: what is written is what is read, and what cannot be read is one sentence."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from feature_home import CREATED, space_manifest

from model.embedding.affine import Affine
from model.embedding.columns import as_binary
from model.errors import StoreError
from serving.rows import known_at, write_rows
from serving.space import SpaceManifest, manifest_file, published_manifests

AFFINE = Affine(scale=0.0123456789, zero_point=-3, bits=4, dim=5)


def test_what_is_written_is_read(tmp_path):
    space = space_manifest(tmp_path, AFFINE, "v7", pins=3)
    space.write()
    assert SpaceManifest.read(tmp_path, "v7") == space
    assert {type(value) for value in space.fields.values()} <= {str, int, float}


def test_tags_give_the_same_affine_code():
    fields = space_manifest("nowhere", AFFINE).fields
    assert Affine.of({name: str(value) for name, value in fields.items()}) == AFFINE


def test_spaces_come_in_the_order_of_their_versions(tmp_path):
    from dataclasses import replace

    for version in (10, 9, 2):
        replace(space_manifest(tmp_path, AFFINE, f"v{version}"), model_version=version).write()
    assert [space.name for space in published_manifests(tmp_path)] == ["v2", "v9", "v10"]
    assert published_manifests(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"space": "v7", "scale": "much"}', '{"space": "v7", "created": 3}'])
def test_a_manifest_that_cannot_be_read_is_one_sentence(tmp_path, text):
    with pytest.raises(StoreError, match=r"There is no .*pin_embedding_v7\.json, so the space was not published; run"):
        SpaceManifest.read(tmp_path, "v7")
    manifest_file(tmp_path, "v7").parent.mkdir(parents=True)
    manifest_file(tmp_path, "v7").write_text(text)
    with pytest.raises(StoreError, match=r"pin_embedding_v7\.json is damaged .*; remove it and publish again\.$"):
        SpaceManifest.read(tmp_path, "v7")


def test_the_newest_vector_of_every_pin_by_id(tmp_path):
    space = space_manifest(tmp_path, AFFINE, pins=3)
    codes = np.random.default_rng(0).integers(-8, 8, (5, 5), dtype=np.int8)
    stored, later = as_binary(AFFINE.pack(codes)), CREATED + timedelta(hours=1)
    write_rows(space.folder / "00000.parquet", pa.array(["c", "a", "b"]), stored[:3], CREATED, CREATED)
    write_rows(space.folder / "pushed-1.parquet", pa.array(["a", "d"]), stored[3:], later, later)
    rows = space.newest()
    assert rows.ids.to_pylist() == ["a", "b", "c", "d"]
    assert np.array_equal(rows.codes_NE, codes[[3, 2, 0, 4]])
    assert space.ids().to_pylist() == ["c", "a", "b", "a", "d"]
    assert space.ids(known_at(CREATED)).to_pylist() == ["c", "a", "b"]
