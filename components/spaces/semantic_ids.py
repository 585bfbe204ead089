"""Semantic IDs of a space: a codebook that is learned from its vectors when it is published, and the IDs of its Pins.

A Pin that is pushed gets its row with the next publication or sync; the service computes its ID at once.
Shape legend: N Pins · E vector dimension · L levels
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from components.spaces.offline_rows import append_rows, shards
from model.data.catalogue import TIME
from model.features.semantic_ids import learn, read_semantic_ids, write_semantic_ids
from serving.rows import VectorRows
from serving.space import SpaceManifest

if TYPE_CHECKING:
    from feature_repo.ranking_services import SpaceObjects

LEVELS, SIZE = 3, 64
A_CENTROID = 20  # Pins at least, on average: a code is no Pin's own
SAMPLE = 65_536  # Pins that teach
BLOCK = 65_536


def learn_semantic_ids(space: SpaceManifest) -> None:
    """A space of fewer than 2 × A_CENTROID Pins has none."""
    rows = space.newest()
    size = min(SIZE, len(rows) // A_CENTROID)
    if size >= 2:
        some = np.sort(np.random.default_rng(0).permutation(len(rows))[:SAMPLE])
        write_semantic_ids(learn(space.affine.vectors(rows.codes_NE[some]), LEVELS, size), space.semantic_ids_file)


def append_semantic_ids(space: "SpaceObjects") -> int:
    """Those of Pins whose ID is new, known from the version's creation on or, of a space that has some, from now on."""
    if space.semantic_id is None:
        return 0
    folder, created = space.rows(space.semantic_id), space.manifest.created
    time = datetime.now(UTC) if shards(folder) else created
    rows = space.manifest.newest()
    codes = pa.FixedSizeListArray.from_arrays(pa.array(_codes(space.manifest, rows).ravel()), LEVELS)
    known = pa.repeat(pa.scalar(time, TIME), len(rows))
    columns = {
        "pin_id": rows.ids.cast(pa.string()),
        "codes": codes.cast(pa.list_(pa.int64())),
        "event_timestamp": known,
    }
    return append_rows(folder, pa.table(columns), "pin_id", time)


def _codes(space: SpaceManifest, rows: VectorRows) -> np.ndarray:
    """int64 (N, L)"""
    ids = read_semantic_ids(space.semantic_ids_file)
    blocks = [
        ids.encode(space.affine.vectors(rows.codes_NE[start : start + BLOCK])) for start in range(0, len(rows), BLOCK)
    ]
    return np.concatenate([np.zeros((0, LEVELS), np.int64), *blocks]).astype(np.int64)
