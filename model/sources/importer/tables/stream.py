"""The tables of a spec as a stream of small batches; every file and column is checked before the first row."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model.errors import SpecError
from model.sources.importer.report import Quarantine, Tally
from model.sources.importer.spec.checks import Column, hint
from model.sources.importer.spec.definition import Table
from model.sources.importer.spec.dialect import Dialect
from model.sources.importer.tables.chunks import Chunk
from model.sources.importer.tables.columnar import arrow_chunks, arrow_columns, parquet_chunks, parquet_columns
from model.sources.importer.tables.content import check_content
from model.sources.importer.tables.delimited import csv_chunks, csv_columns
from model.sources.importer.tables.jsonlines import json_chunks, json_columns
from model.sources.importer.tables.table_files import find_files, folder_columns, kind


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
class TableBatch:
    """Rows of one file as plain Python cells."""

    label: str  # what a number counts: "items.parquet row", "boards.csv line"
    numbers: list[int]  # rows counted from 1; lines of text files, with the header as line 1
    columns: dict[str, list[Any]]
    done: float  # share of the table read so far, 0 to 1

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(place, {column: cell}) a row."""
        for index, cells in enumerate(zip(*self.columns.values(), strict=True)):
            yield self.place(index), dict(zip(self.columns, cells, strict=True))

    def place(self, index: int) -> str:
        return f"{self.label} {self.numbers[index]}"

    def select(self, keep: Sequence[bool | None]) -> "TableBatch":
        columns = {name: _kept(cells, keep) for name, cells in self.columns.items()}
        return replace(self, numbers=_kept(self.numbers, keep), columns=columns)


def open_source(table: Table, root: Path, columns: Iterable[Column]) -> Source:
    """Finds the files and checks that each has the columns and those of the filter.

    Raises:
        SpecError: no file, a file of another kind or unreadable, a missing column, one name for two columns.
    """
    wanted = {column.name: True for column in columns if column.optional}
    wanted |= {column.name: False for column in columns if not column.optional}
    wanted |= dict.fromkeys(table.where.columns if table.where else (), False)
    tally = Tally(table.label)
    files = find_files(table.globs, root, table.label)
    if not files and not table.optional:
        empty = [pattern for pattern in table.globs if (root / pattern).is_dir()]
        if empty:
            raise SpecError(
                f"{root / empty[0]} ({table.label}) is a folder that holds no tables; "
                "name a folder with files in it, or export the table again."
            )
        raise SpecError(
            f"no file in {root} matches {', '.join(table.globs)} ({table.label}); "
            "check the glob, or give the folder the spec's paths start at with --root."
        )
    missing: Counter[str] = Counter()
    for file in files:
        names = table_columns(file, root, table.dialect, tuple(wanted))
        for name in set(wanted) - set(names):
            if not wanted[name]:
                raise SpecError(f"{file} has no column {name!r} ({table.label}); {hint(name, names, 'its columns')}")
            missing[name] += 1
    tally.notes += [f"{name} is missing in {missing[name]} of {len(files)} files" for name in sorted(missing)]
    if not files:
        tally.notes.append(f"no file matches {', '.join(table.globs)}")
    absent = frozenset(name for name in missing if missing[name] == len(files))
    return Source(table, root, files, tuple(wanted), absent, tally)


def table_columns(file: Path, root: Path, dialect: Dialect, wanted: Sequence[str] = ()) -> list[str]:
    """The file's columns and those in the names of its folders.

    Raises:
        SpecError: it is unreadable, or names a column twice.
    """
    names = _file_columns(file, dialect, wanted)
    return [*names, *(name for name in folder_columns(file, root) if name not in names)]


def scan(source: Source, quarantine: Quarantine, rows: int) -> Iterator[TableBatch]:
    """Streams the rows that the filter takes, at most `rows` at a time; counts them in the source's tally."""
    tally, where, missing = source.tally, source.table.where, source.table.dialect.missing
    for number, file in enumerate(source.files):
        label = _label(file, source.root)
        for chunk in _chunks(file, source, rows):
            tally.read += len(chunk.numbers) + len(chunk.refused)
            tally.extra_lines += chunk.extra_lines
            for line, reason in chunk.refused:
                quarantine.refuse(tally, None, reason, f"{label} {line}")
            if missing:
                chunk.columns = {name: _without(missing, cells) for name, cells in chunk.columns.items()}
            batch = TableBatch(label, chunk.numbers, chunk.columns, (number + chunk.done) / len(source.files))
            if where is not None:
                fits = where.keep(batch.columns)
                for row, kept in enumerate(fits):
                    if kept is None:
                        quarantine.refuse(
                            tally, None, f"a cell that where {where.text} cannot compare", batch.place(row)
                        )
                if False in fits:
                    tally.dropped[f"not chosen by where {where.text}"] += fits.count(False)
                batch = batch.select(fits)
            yield batch


def first_rows(source: Source, rows: int) -> Chunk:
    """At most `rows` rows of the first file that has any."""
    for file in source.files:
        for chunk in _chunks(file, source, rows):
            return chunk
    raise SpecError(f"{', '.join(source.table.globs)} in {source.root} holds no rows; export the table again.")


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
        f"{tally.label}: none of the {tally.read} rows of {names} was kept ({tally.reason}{tally.example}); "
        "check the spec's columns and filter."
    )


def _file_columns(file: Path, dialect: Dialect, wanted: Sequence[str]) -> list[str]:
    check_content(file, kind(file))
    match kind(file):
        case "parquet":
            names = parquet_columns(file)
        case "arrow":
            names = arrow_columns(file)
        case "json":
            names = json_columns(file, wanted)
        case _:
            names = csv_columns(file, dialect)
    repeated = [name for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise SpecError(f"{file} names the column {repeated[0]!r} twice; rename one.")
    return names


def _chunks(file: Path, source: Source, rows: int) -> Iterator[Chunk]:
    """The file's rows with every column of the source: from the file, from its folders' names, or without a value."""
    dialect = source.table.dialect
    names = set(_file_columns(file, dialect, source.columns))
    held = [name for name in source.columns if name in names]
    match kind(file):
        case "parquet":
            chunks = parquet_chunks(file, held, rows)
        case "arrow":
            chunks = arrow_chunks(file, held, rows)
        case "json":
            chunks = json_chunks(file, held, rows)
        case _:
            chunks = csv_chunks(file, held, rows, dialect)
    folders = folder_columns(file, source.root)
    for chunk in chunks:
        others = {name: [folders.get(name)] * len(chunk.numbers) for name in source.columns if name not in names}
        cells = {**chunk.columns, **others}
        yield replace(chunk, columns={name: cells[name] for name in source.columns})


def _label(file: Path, root: Path) -> str:
    name = str(file.relative_to(root)) if file.is_relative_to(root) else file.name
    return f"{name} {'line' if kind(file) in ('csv', 'json') else 'row'}"


def _without(missing: frozenset[str], cells: list[Any]) -> list[Any]:
    return [None if isinstance(cell, str) and cell.strip() in missing else cell for cell in cells]


def _kept(cells: list[Any], keep: Sequence[bool | None]) -> list[Any]:
    return [cell for cell, kept in zip(cells, keep, strict=True) if kept]
