"""The vectors of a former version that new ones stay comparable with (backward-compatible training, Shen 2020).

    anchors.parquet   pin_id · vector      fixed-size lists of float32, of length 1

Shape legend: N training Pins · n Pins of a part · E vector dimension
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.errors import TrainingError
from model.files import replaced

PART = 65_536  # Pins read at once


def read_anchors(file: Path, pin_ids: pa.Array, dim: int) -> np.ndarray:
    """float16 (N, E): the anchor of each training Pin, zeros without.

    Args:
        pin_ids: of the training Pins.
        dim: of the new vectors.

    Raises:
        TrainingError: the vectors are of another dimension, or of none of these Pins.
    """
    with pq.ParquetFile(file) as source:
        check_dimension(source.schema_arrow.field("vector").type.list_size, dim)
        anchors_NE = np.zeros((len(pin_ids), dim), np.float16)
        for batch in source.iter_batches(PART):
            place_N = pc.index_in(pin_ids, value_set=batch["pin_id"])
            known_N = np.flatnonzero(pc.is_valid(place_N).to_numpy(zero_copy_only=False))
            vectors_nE = batch["vector"].flatten().to_numpy().reshape(-1, dim)
            anchors_NE[known_N] = vectors_nE[place_N.take(pa.array(known_N)).to_numpy()]
        if not anchors_NE.any():
            raise TrainingError(
                f"None of the {source.metadata.num_rows:,} Pins of the version in train.compatible_with is among the "
                f"{len(pin_ids):,} training Pins; train on the catalogue that it serves, or leave the key out."
            )
    return anchors_NE


def write_anchors(file: Path, pin_ids: pa.Array, vectors_NE: np.ndarray) -> None:
    """The file above, written beside and moved into its place."""
    values = pa.array(np.ascontiguousarray(vectors_NE, dtype=np.float32).ravel())
    vectors = pa.FixedSizeListArray.from_arrays(values, vectors_NE.shape[1])
    with replaced(file) as scratch:
        pq.write_table(pa.table({"pin_id": pin_ids.cast(pa.string()), "vector": vectors}), scratch)


def check_dimension(former: int, dim: int) -> None:
    """Raises TrainingError where vectors of the two dimensions cannot be compared."""
    if former != dim:
        raise TrainingError(
            f"train.compatible_with names a version with vectors of {former} dimensions, and fusion.dim is {dim}; "
            f"set fusion.dim={former}, or leave train.compatible_with out."
        )
