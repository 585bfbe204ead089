"""The vectors of a space as publishing leaves them (feature_repo/pin_features.py): shards, and a manifest beside them.

    offline/pin_embedding_v7/*.parquet   pin_id · vector · event_timestamp · created
    offline/pin_embedding_v7.json        space, scale, zero_point, bits, dim, pins, …; written last

Shape legend: N vectors · B bytes of a stored vector
"""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.affine import Affine
from model.errors import VectorIndexError
from serving.index.rows import Rows


def published(shards: Path) -> tuple[str, Affine, Iterator[Rows]]:
    """(the space's name, its affine, its vectors shard by shard).

    Raises:
        VectorIndexError: there is no manifest; while the vectors are read: a vector has another length, or the
            shards hold fewer rows than the manifest says. They may hold more: what was pushed since.
    """
    manifest_file = shards.with_name(f"{shards.name}.json")
    if not manifest_file.is_file():
        raise VectorIndexError(f"There is no {manifest_file}, so the space was not published; run the pipeline first.")
    manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
    affine = Affine(**{field.name: manifest[field.name] for field in fields(Affine)})
    return manifest["space"], affine, _read(shards, affine, manifest["pins"])


def _read(shards: Path, affine: Affine, pins: int) -> Iterator[Rows]:
    read = 0
    for shard in sorted(shards.glob("*.parquet")):
        table = pq.read_table(shard, columns=["pin_id", "vector", "event_timestamp"]).combine_chunks()
        read += table.num_rows
        yield _rows(table, affine, shard)
    if read < pins:
        raise VectorIndexError(f"{shards} holds {read} Pins, its manifest says {pins}; publish the space again.")


def _rows(table: pa.Table, affine: Affine, shard: Path) -> Rows:
    vectors = table["vector"]
    wrong = pc.not_equal(pc.binary_length(vectors), affine.bytes_per_pin)
    if pc.any(wrong).as_py():
        pin_id = table["pin_id"].filter(wrong)[0].as_py()
        raise VectorIndexError(
            f"The vector of the Pin {pin_id!r} in {shard} has not the {affine.bytes_per_pin} bytes that the manifest "
            "says; publish the space again."
        )
    packed_NB = np.frombuffer(b"".join(vectors.to_pylist()), dtype=np.uint8).reshape(-1, affine.bytes_per_pin)
    times = table["event_timestamp"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    ids = table["pin_id"].cast(pa.large_string()).combine_chunks()
    return Rows(ids, affine.unpack(packed_NB), times.to_numpy())
