"""Parquet, CSV and TSV files as a stream of small batches; every file and column is checked before the first row.

CSV cells stay text: the delimiter is the one the header uses most (Unsplash ships tabs in .csv files), a row that
cannot be split into the header's columns is refused and the rest goes on.
"""

import csv
import glob
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from model.catalogue import TIME
from model.errors import SpecError
from model.sources.report import Quarantine, Tally
from model.sources.spec import Column, Table, hint

TEXT_TABLE = re.compile(r"\.(csv|tsv)\d*$", re.IGNORECASE)
PARQUET_TABLE = re.compile(r"\.(parquet|pq)$", re.IGNORECASE)
DELIMITERS = (",", "\t", ";")


@dataclass(frozen=True)
class Source:
    """The files of one table of a spec and the columns read from them, all of them there."""

    table: Table
    root: Path
    files: tuple[Path, ...]
    columns: tuple[str, ...]
    absent: frozenset[str]  # optional columns that no file has
    tally: Tally


@dataclass(frozen=True)
class Batch:
    """Rows of one file as plain Python cells."""

    file: str
    numbers: list[int]  # rows counted from 1, the header not counted
    columns: dict[str, list[Any]]
    done: float  # share of the table read so far, 0 to 1

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(place, {column: cell}) a row."""
        for number, cells in zip(self.numbers, zip(*self.columns.values(), strict=True), strict=True):
            yield f"{self.file} row {number}", dict(zip(self.columns, cells, strict=True))

    def select(self, keep: Sequence[bool]) -> "Batch":
        columns = {name: _kept(cells, keep) for name, cells in self.columns.items()}
        return Batch(self.file, _kept(self.numbers, keep), columns, self.done)


def open_source(table: Table, root: Path, columns: Iterable[Column]) -> Source:
    """Finds the files and checks that each has the columns and those of the filter.

    Raises:
        SpecError: no file, a file of another kind or unreadable, a missing column.
    """
    wanted = {column.name: True for column in columns if column.optional}
    wanted |= {column.name: False for column in columns if not column.optional}
    wanted |= dict.fromkeys(table.where.columns if table.where else (), False)
    tally = Tally(table.label)
    files = _files(table, root)
    missing: Counter[str] = Counter()
    for file in files:
        names = _columns(file)
        for name in set(wanted) - set(names):
            if not wanted[name]:
                raise SpecError(f"{file} has no column {name!r} ({table.label}); {hint(name, names, 'its columns')}")
            missing[name] += 1
    tally.notes += [f"{name} is missing in {missing[name]} of {len(files)} files" for name in sorted(missing)]
    if not files:
        tally.notes.append(f"no file matches {', '.join(table.globs)}")
    absent = frozenset(name for name in missing if missing[name] == len(files))
    return Source(table, root, files, tuple(wanted), absent, tally)


def scan(source: Source, quarantine: Quarantine, rows: int) -> Iterator[Batch]:
    """Streams the rows that the filter takes, at most `rows` at a time; counts them in the source's tally."""
    tally, where = source.tally, source.table.where
    for number, file in enumerate(source.files):
        read = _parquet if PARQUET_TABLE.search(file.name) else _csv
        for batch in read(file, source, quarantine, rows):
            tally.read += len(batch.numbers)
            chosen = batch
            if where is not None:
                chosen = batch.select(where.keep(batch.columns))
                left = len(batch.numbers) - len(chosen.numbers)
                if left:
                    tally.dropped[f"not chosen by where {where.text}"] += left
            yield Batch(chosen.file, chosen.numbers, chosen.columns, (number + batch.done) / len(source.files))


def require_rows(source: Source) -> None:
    """After the scan: a table of which nothing was kept is a mistake, unless it is optional.

    Raises:
        SpecError: it was empty, or every row was dropped.
    """
    tally, names = source.tally, ", ".join(source.table.globs)
    if source.table.optional or tally.kept:
        return
    if tally.read == 0:
        raise SpecError(f"{names} in {source.root} holds no rows ({tally.label}); export the table again.")
    raise SpecError(
        f"{tally.label}: none of the {tally.read} rows of {names} was kept ({tally.reason}); "
        "check the spec's columns and filter."
    )


def _files(table: Table, root: Path) -> tuple[Path, ...]:
    found = {  # Path.glob refuses absolute globs
        root / name
        for pattern in table.globs
        for name in glob.glob(pattern, root_dir=root, recursive=True)  # noqa: PTH207
    }
    files = tuple(sorted(file for file in found if file.is_file()))
    if not files and not table.optional:
        raise SpecError(
            f"no file in {root} matches {', '.join(table.globs)} ({table.label}); "
            "check the glob, or give the folder the spec's paths start at with --root."
        )
    for file in files:
        if not TEXT_TABLE.search(file.name) and not PARQUET_TABLE.search(file.name):
            raise SpecError(f"{file} is no table ({table.label}); tables end in .parquet, .csv or .tsv.")
    return files


def _columns(file: Path) -> list[str]:
    names: list[str]
    if PARQUET_TABLE.search(file.name):
        try:
            return list(pq.read_schema(file).names)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(file, error) from None
    try:
        with _open_text(file) as lines:
            names = next(_reader(lines), [])
            "".join(names).encode("utf-8")
    except UnicodeEncodeError:
        raise SpecError(f"the first line of {file} is no UTF-8 text; save the file as UTF-8.") from None
    except (csv.Error, OSError) as error:
        raise _unreadable(file, error) from None
    if not names:
        raise SpecError(f"{file} is empty; its first line must name the columns.")
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise SpecError(f"{file} names the column {repeated[0]!r} twice; rename one.")
    return names


def _parquet(file: Path, source: Source, quarantine: Quarantine, rows: int) -> Iterator[Batch]:
    # Small buffered reads: with pre-buffering a row group's images would all be in memory at once.
    try:
        with pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as table:
            present = [name for name in source.columns if name in table.schema_arrow.names]
            total, first = max(1, table.metadata.num_rows), 1
            for batch in table.iter_batches(batch_size=rows, columns=present):
                numbers = list(range(first, first + batch.num_rows))
                first += batch.num_rows
                columns = {name: _cells(batch.column(name)) for name in present}
                empty = [None] * batch.num_rows
                whole = {name: columns.get(name, empty) for name in source.columns}
                yield Batch(file.name, numbers, whole, min(1.0, (first - 1) / total))
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from None


def _cells(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(TIME, safe=False)  # nanoseconds do not fit Python's datetime
    try:
        return column.to_pylist()
    except UnicodeDecodeError:  # as bytes, so that only the rows that are no UTF-8 are refused
        is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        return column.cast(pa.list_(pa.binary()) if is_list else pa.binary()).to_pylist()


def _csv(file: Path, source: Source, quarantine: Quarantine, rows: int) -> Iterator[Batch]:
    size = max(1, file.stat().st_size)
    with _open_text(file) as lines:
        reader = _reader(lines)
        header = next(reader)
        at = {name: header.index(name) for name in source.columns if name in header}
        numbers: list[int] = []
        kept: list[list[str]] = []
        for number, cells in _records(file, reader, source.tally, quarantine, len(header)):
            numbers.append(number)
            kept.append(cells)
            if len(kept) == rows:
                yield _text_batch(file, numbers, kept, source, at, lines.buffer.tell() / size)
                numbers, kept = [], []
        if kept:
            yield _text_batch(file, numbers, kept, source, at, 1.0)


def _text_batch(
    file: Path, numbers: list[int], kept: list[list[str]], source: Source, at: dict[str, int], done: float
) -> Batch:
    columns = {name: [row[at[name]] for row in kept] if name in at else [None] * len(kept) for name in source.columns}
    return Batch(file.name, numbers, columns, done)


def _records(
    file: Path, reader: Any, tally: Tally, quarantine: Quarantine, width: int
) -> Iterator[tuple[int, list[str]]]:
    """Rows of the header's width with their numbers; others are counted as read and refused."""
    number = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
            problem = None if cells is None or len(cells) == width else "its number of values is not the header's"
        except csv.Error as error:
            if reader.line_num > line:  # the open quote has swallowed the lines after it
                raise SpecError(f"{file}, line {line}: a quoted value does not end properly ({error}).") from None
            cells, problem = [""], f"no readable CSV row ({error})"
        if cells is None:
            return
        if not cells:
            continue  # a blank line
        number += 1
        if problem:
            tally.read += 1
            quarantine.refuse(tally, f"{file.name} row {number}", problem)
        else:
            yield number, cells


def _open_text(file: Path) -> Any:
    # Bytes that are no UTF-8 come through as surrogates, so that only their rows are refused.
    return file.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def _reader(lines: Any) -> Any:
    """A strict csv reader over an open file, standing at the header."""
    first = lines.readline()
    lines.seek(0)
    # Ties go to the first: a file of one column has no delimiter to find.
    delimiter = max(DELIMITERS, key=first.count)
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _unreadable(file: Path, error: Exception) -> SpecError:
    reason = " ".join(str(error).split())
    return SpecError(f"{file} cannot be read ({reason}); check the file or export it again.")


def _kept(cells: list[Any], keep: Sequence[bool]) -> list[Any]:
    return [cell for cell, kept in zip(cells, keep, strict=True) if kept]
