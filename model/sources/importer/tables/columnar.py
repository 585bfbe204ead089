"""Parquet and Arrow (Feather) files, read by pyarrow: their column names and their rows in small batches."""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from model.sources.importer.tables.chunks import Chunk, unreadable
from model.sources.importer.values.cells import Narrow, Shortened

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXACT = {pa.float16(): 2**11, pa.float32(): 2**24}  # whole numbers beyond are not one but several
MICROSECONDS = {"s": 1_000_000, "ms": 1000, "us": 1}


def parquet_columns(file: Path) -> list[str]:
    """Raises SpecError where the file is no Parquet."""
    try:
        return list(pq.read_schema(file).names)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(file, error) from None


def parquet_chunks(file: Path, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
    # Small buffered reads: with pre-buffering a row group's images would all be in memory at once. INT96 in
    # microseconds: as nanoseconds, pyarrow's choice, times after 2262 would wrap round to others.
    try:
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20, coerce_int96_timestamp_unit="us") as table:
            batches = table.iter_batches(batch_size=rows, columns=list(columns))
            yield from _chunks(batches, columns, table.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(file, error) from None


def arrow_columns(file: Path) -> list[str]:
    """Raises SpecError where the file is no Feather file and no Arrow stream."""
    try:
        with closing(_open_arrow(file)) as reader:
            return list(reader.schema.names)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(file, error) from None


def arrow_chunks(file: Path, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
    try:
        with closing(_open_arrow(file)) as reader:
            yield from _chunks(_slices(reader, rows), columns, 0)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(file, error) from None


def _open_arrow(file: Path) -> Any:
    """A reader of record batches: of the file format, else of the stream format, else of Feather's first version."""
    source = pa.memory_map(str(file))
    try:
        opened = pa.ipc.open_file(source)
        return pa.RecordBatchReader.from_batches(opened.schema, map(opened.get_batch, range(opened.num_record_batches)))
    except pa.ArrowInvalid:
        source.seek(0)
    if source.read(4) == b"FEA1":
        return pyarrow.feather.read_table(file).to_reader()
    source.seek(0)
    return pa.ipc.open_stream(source)


def _slices(reader: Any, rows: int) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def _chunks(batches: Iterator[pa.RecordBatch], columns: Sequence[str], total: int) -> Iterator[Chunk]:
    first = 1
    for batch in batches:
        numbers = list(range(first, first + batch.num_rows))
        first += batch.num_rows
        cells = {name: _cells(batch.column(name)) for name in columns}
        yield Chunk(numbers, cells, min(1.0, (first - 1) / total) if total else 1.0)


def _cells(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return [None if value is None else _moment(value, column.type.unit) for value in _integers(column)]
    if column.type in EXACT:
        exact = EXACT[column.type]
        return [Narrow(value) if value is not None and abs(value) >= exact else value for value in column.to_pylist()]
    try:
        return column.to_pylist()
    except UnicodeDecodeError:  # as bytes, so that only the rows that are no UTF-8 are refused
        is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        return column.cast(pa.list_(pa.binary()) if is_list else pa.binary()).to_pylist()
    except (OverflowError, ValueError, pa.ArrowInvalid):  # a date that Python's calendar does not reach
        return [_alone(cell) for cell in column]


def _integers(column: pa.Array) -> list[int | None]:
    return column.cast(pa.int64()).to_pylist()


def _moment(value: int, unit: str) -> datetime | float:
    """A timestamp in UTC; infinity, which no reader of times takes, where the year is not in 1 to 9999."""
    microseconds = value // 1000 if unit == "ns" else value * MICROSECONDS[unit]
    try:
        time = EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return math.inf
    return Shortened.combine(time, time.timetz()) if unit == "ns" and value % 1000 else time


def _alone(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except (OverflowError, ValueError, pa.ArrowInvalid):
        return math.inf
