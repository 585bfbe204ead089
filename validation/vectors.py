"""The facts of a vectors folder, measured shard by shard: dimension, finiteness, length, spread."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 8192  # Pins in memory at once


def dimension_of(vectors: Path) -> int:
    """The dimension that embedding.json promises.

    Raises:
        ModelError: the folder is not a finished embed step.
    """
    try:
        return int(json.loads((vectors / "embedding.json").read_text(encoding="utf-8"))["dim"])
    except (FileNotFoundError, KeyError, ValueError):
        raise ModelError(f"{vectors} holds no readable embedding.json; run the embed step again.") from None


def vector_tables(vectors: Path) -> dict[str, "pd.DataFrame"]:
    """vectors: one row a Pin · queries: one row a query · space: one row about all Pin vectors together."""
    dim, pins, total = dimension_of(vectors), [], np.zeros(dimension_of(vectors))
    for shard in sorted((vectors / "pins").glob("*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(batch_size=_BATCH):
            rows = pa.Table.from_batches([batch])
            pins.append(_measured(rows, "pin_id", ("pin", "image", "text")))
            total += _sum(rows["pin"], dim)
    if not pins:
        raise ModelError(f"{vectors} holds no pins/*.parquet; run the embed step again.")
    table = pa.concat_tables(pins)
    # The mean of unit vectors has length 1 where all are the same and nearly 0 where they spread over the sphere.
    mean_length = float(np.linalg.norm(total)) / max(table.num_rows, 1)
    space = pa.table({"pins": [table.num_rows], "mean_length": [mean_length]})
    queries = _measured(pq.read_table(vectors / "queries.parquet"), "query", ("vector",))
    return {"vectors": table.to_pandas(), "queries": queries.to_pandas(), "space": space.to_pandas()}


def _measured(rows: pa.Table, name: str, columns: tuple[str, ...]) -> pa.Table:
    """name · dimension and length of the first column · finite: no NaN or infinity in any of the columns."""
    owners = [_flat(rows[column]) for column in columns]
    owner, values = owners[0]
    broken = sum(np.bincount(o[~np.isfinite(v)], minlength=rows.num_rows) for o, v in owners)
    squares = np.bincount(owner, weights=values.astype(np.float64) ** 2, minlength=rows.num_rows)
    return pa.table(
        {
            name: rows[name],
            "dimension": np.bincount(owner, minlength=rows.num_rows),
            "length": np.sqrt(squares),
            "finite": broken == 0,
        }
    )


def _flat(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """The row of every value, and the values; a null vector has none."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    return np.repeat(np.arange(len(column)), lengths), column.combine_chunks().flatten().to_numpy(zero_copy_only=False)


def _sum(column: pa.ChunkedArray, dim: int) -> np.ndarray:
    """float64 (dim,): the sum of the vectors; vectors of another dimension and broken ones are left out."""
    _, values = _flat(column)
    matrix = values.reshape(-1, dim) if values.size % dim == 0 else np.zeros((1, dim))
    return np.nan_to_num(matrix.astype(np.float64)).sum(axis=0)
