"""Vectors on their way into an index.

Shape legend: N rows · E vector dimension
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.errors import VectorIndexError


@dataclass(frozen=True)
class Rows:
    ids: pa.LargeStringArray
    codes_NE: np.ndarray  # int8
    times_N: np.ndarray  # int64, microseconds since 1970, UTC: when the vector became known


def as_ids(ids: Sequence[str]) -> pa.LargeStringArray:
    return pa.array(ids, pa.large_string())


def newest_each(rows: Rows) -> Rows:
    """One row an id: that of the latest time.

    Raises:
        VectorIndexError: an id stands twice at the same time, so that nobody knows which vector is meant.
    """
    if pc.count_distinct(rows.ids).as_py() == len(rows.ids):
        return rows
    keys = [("id", "ascending"), ("time", "ascending")]
    order = pc.sort_indices(pa.table({"id": rows.ids, "time": rows.times_N}), sort_keys=keys).to_numpy()
    ids, times = rows.ids.take(pa.array(order)), rows.times_N[order]
    repeated = pc.equal(ids[:-1], ids[1:]).to_numpy(zero_copy_only=False)  # by the next
    tied = np.flatnonzero(repeated & (times[:-1] == times[1:]))
    if len(tied):
        raise VectorIndexError(
            f"The id {ids[int(tied[0])].as_py()!r} has two vectors of the same time ({len(tied)} such pairs); keep one."
        )
    kept = np.sort(order[~np.append(repeated, False)])
    return Rows(rows.ids.take(pa.array(kept)), rows.codes_NE[kept], rows.times_N[kept])
