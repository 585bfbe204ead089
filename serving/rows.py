"""Reads and writes the vectors of a space on disk: Parquet shards, which only this file reads and writes.

    <shard>.parquet   pin_id · vector (the bytes of its codes) · event_timestamp (known from then on) · created

Shape legend: N rows · E vector dimension · B bytes of a stored vector
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.data.catalogue import TIME
from model.embedding.affine import Affine
from model.errors import VectorIndexError
from model.files import replaced

ERASED = {b"pinclip.erased": b"true"}  # metadata of a Parquet file that had more rows once


@dataclass(frozen=True)
class VectorRows:
    ids: pa.LargeStringArray
    codes_NE: np.ndarray  # int8
    times_N: np.ndarray  # int64, microseconds since 1970, UTC: when the vector became known

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "VectorRows":
        """The rows at these places, in that order."""
        return VectorRows(self.ids.take(pa.array(rows)), self.codes_NE[rows], self.times_N[rows])


def as_ids(ids: Sequence[str] | np.ndarray) -> pa.LargeStringArray:
    return pa.array(ids, pa.large_string())


def read_rows(shard: Path, affine: Affine, wanted: pc.Expression | None = None) -> VectorRows:
    """The rows of a shard; with `wanted` those for which that expression over its columns is true.

    Raises:
        VectorIndexError: the shard is damaged, or a vector has another length than the affine code gives it.
    """
    table = _read(shard, ["pin_id", "vector", "event_timestamp"], wanted).combine_chunks()
    wrong = pc.not_equal(pc.binary_length(table["vector"]), affine.bytes_per_pin)
    if pc.any(wrong).as_py():
        pin_id = table["pin_id"].filter(wrong)[0].as_py()
        raise VectorIndexError(
            f"The vector of the Pin {pin_id!r} in {shard} has not the {affine.bytes_per_pin} bytes that the manifest "
            "says; publish the space again."
        )
    packed_NB = np.frombuffer(b"".join(table["vector"].to_pylist()), np.uint8).reshape(-1, affine.bytes_per_pin)
    ids = pa.concat_arrays([as_ids([]), *table["pin_id"].cast(pa.large_string()).chunks])
    return VectorRows(ids, affine.unpack(packed_NB), table["event_timestamp"].cast(TIME).cast(pa.int64()).to_numpy())


def read_ids(shard: Path, wanted: pc.Expression | None = None) -> pa.ChunkedArray:
    """The pin_ids of a shard without their vectors, strings."""
    return _read(shard, ["pin_id"], wanted)["pin_id"]


def _read(shard: Path, columns: list[str], wanted: pc.Expression | None) -> pa.Table:
    """The columns, once the checksums of their pages were compared."""
    try:
        return pq.read_table(shard, columns=columns, filters=wanted, page_checksum_verification=True)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowInvalid) as error:
        where, said = _damaged_at(shard, columns), str(error).split("\n")[0].rstrip(".")
        raise VectorIndexError(
            f"{shard} is damaged{where} ({said}); bring it back from a backup, or publish the space again."
        ) from None


def _damaged_at(shard: Path, columns: list[str]) -> str:
    """The column and the place of its first bytes that cannot be read; "" where the file's end says nothing."""
    try:
        file = pq.ParquetFile(shard, page_checksum_verification=True)
    except (OSError, pa.ArrowInvalid):
        return " in its last bytes, which say where everything is"
    for group in range(file.num_row_groups):
        for column in columns:
            try:
                file.read_row_group(group, columns=[column])
            except (OSError, pa.ArrowInvalid):
                number = file.schema_arrow.get_field_index(column)
                chunk = file.metadata.row_group(group).column(number)
                start = chunk.dictionary_page_offset or chunk.data_page_offset
                return f" in {column}, between the bytes {start:,} and {start + chunk.total_compressed_size:,}"
    return ""


def lost_rows(shard: Path) -> bool:
    """Whether Pins were erased from the shard, so that its rows have moved up."""
    return ERASED.items() <= (pq.read_schema(shard).metadata or {}).items()


def newest_time(shards: Sequence[Path]) -> datetime:
    """When the newest vector of the shards, of which one has a row, became known."""
    newest = [pc.max(pq.read_table(shard, columns=["event_timestamp"])["event_timestamp"]).as_py() for shard in shards]
    return max(time.astimezone(UTC) for time in newest if time)


def known_at(time: datetime) -> pc.Expression:
    """A filter for `wanted`: the rows that became known at exactly this time."""
    return pc.field("event_timestamp") == pa.scalar(time, TIME)


def write_rows(
    shard: Path,
    ids: pa.ChunkedArray,
    vectors: pa.Array | pa.ChunkedArray,
    known: datetime | np.ndarray,
    created: datetime,
    erased: bool = False,
) -> None:
    """Writes a shard beside its place, then renames it.

    Args:
        ids: strings; chunked or not, as the vectors are.
        vectors: binary, the bytes of the codes (Affine.pack).
        known: the time of all rows, or int64 (N,) in microseconds since 1970, UTC.
        erased: whether rows were left out that readers may have counted already.
    """
    times = pa.repeat(pa.scalar(known, TIME), len(ids)) if isinstance(known, datetime) else pa.array(known).cast(TIME)
    columns = {"pin_id": ids, "vector": vectors, "event_timestamp": times}
    table = pa.table(columns | {"created": pa.repeat(pa.scalar(created, TIME), len(ids))})
    with replaced(shard) as scratch:
        pq.write_table(table.replace_schema_metadata(ERASED if erased else None), scratch, write_page_checksum=True)


def joined(parts: Sequence[VectorRows]) -> VectorRows:
    """All rows of the parts, of which there is at least one."""
    codes_NE = np.concatenate([part.codes_NE for part in parts])
    times_N = np.concatenate([part.times_N for part in parts])
    return VectorRows(pa.concat_arrays([part.ids for part in parts]), codes_NE, times_N)


def newest_each(rows: VectorRows) -> VectorRows:
    """One row an id: that of the latest time.

    Raises:
        VectorIndexError: an id stands twice at the same time, so that it is undefined which vector counts.
    """
    if pc.count_distinct(rows.ids).as_py() == len(rows):
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
    return rows.take(np.sort(order[~np.append(repeated, False)]))
