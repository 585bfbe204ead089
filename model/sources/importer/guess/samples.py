"""The first rows of the tables that a spec is guessed from."""

import glob
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from model.errors import SpecError
from model.sources.importer.guess.spec_lines import commented, quoted
from model.sources.importer.spec.checks import Column
from model.sources.importer.spec.definition import Table
from model.sources.importer.spec.dialect import Dialect
from model.sources.importer.tables.chunks import Chunk
from model.sources.importer.tables.stream import first_rows, open_source, table_columns
from model.sources.importer.tables.table_files import kind
from model.sources.importer.values.cells import BadValue, text

SAMPLE = 1000  # rows looked at
DIALECTS = (
    Dialect(),
    Dialect(quotes=None, sure=True),
    Dialect(quotes=None, sure=True, escape="\\"),
    Dialect(escape="\\"),
)
ESCAPE = re.compile(r"""\\[\\NtnrbfvZ0"',;|]""")
IDS = 100_000  # of Pins, to find the column of another table that names them


@dataclass(frozen=True)
class Sample:
    """The first rows of files with the same columns."""

    table: str  # as the spec names it
    columns: dict[str, list[Any]]
    dialect: Dialect

    def written(self) -> dict[str, str]:
        """The keys of a spec that say how the files are written, where it is not the usual way."""
        quotes = {} if self.dialect.quotes else {"quotes": "none"}
        return quotes | ({"escape": quoted(self.dialect.escape)} if self.dialect.escape else {})

    def opening(self) -> list[str]:
        reasons = {
            "quotes": "read with quotes, lines of this file would run into each other",
            "escape": "its cells hold escapes",
        }
        if self.dialect.escape:
            reasons["quotes"] = "written as MySQL and PostgreSQL write text"
        keys = [line for key, value in self.written().items() for line in commented(key, value, reasons[key])]
        return [f"  table: {self.table}", *keys]


def read_samples(tables: Sequence[Path], root: Path) -> list[Sample]:
    """
    Raises:
        SpecError: a table is unreadable.
    """
    return [_sample(files, root) for files in _groups(tables)]


def _groups(tables: Sequence[Path]) -> list[list[Path]]:
    """Files whose names differ in digits only (photos.tsv000, photos.tsv001) are one table."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in tables:
        if not path.exists():
            raise SpecError(f"There is no file {path}; give tables to guess a spec from.")
        groups.setdefault((path.parent, re.sub(r"\d+", "0", path.name)), []).append(path)
    return [sorted(group) for group in groups.values()]


def _sample(files: Sequence[Path], root: Path) -> Sample:
    named = [glob.escape(os.path.relpath(file, root)) for file in files]
    found = dict[Dialect, Chunk]()
    failed: SpecError | None = None
    for dialect in DIALECTS if kind(files[0]) == "csv" else DIALECTS[:1]:
        try:
            found[dialect] = _read(named, root, files[0], dialect)
        except SpecError as error:
            failed = failed or error
    if not found and failed:
        raise failed
    # The first of those that read the most rows, unless cells are left in quotes or all cells agree on escapes.
    dialect = min(
        found, key=lambda one: (len(found[one].refused), _leaves_quotes(found[one]), not _has_escapes(found, one))
    )
    table = quoted(named[0]) if len(named) == 1 else "[" + ", ".join(map(quoted, named)) + "]"
    return Sample(table, found[dialect].columns, dialect)


def _read(named: Sequence[str], root: Path, first: Path, dialect: Dialect) -> Chunk:
    columns = [Column(name) for name in table_columns(first, root, dialect)]
    return first_rows(open_source(Table("guess", tuple(named), None, False, dialect), root, columns), SAMPLE)


def _leaves_quotes(chunk: Chunk) -> bool:
    cells = [cell for column in chunk.columns.values() for cell in column if isinstance(cell, str)]
    return any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in cells)


def _has_escapes(found: Mapping[Dialect, Chunk], dialect: Dialect) -> bool:
    """Whether the dialect takes escapes, and every backslash of the cells, read without them, begins one.

    Windows paths (`images\\new.jpg`) have other backslashes, or no mark of a missing value and no `\\\\` beside them.
    """
    plain = found.get(replace(dialect, escape=None))
    if not dialect.escape or plain is None:
        return False
    cells = [cell for column in plain.columns.values() for cell in column if isinstance(cell, str) and "\\" in cell]
    sure = any(cell == "\\N" or "\\\\" in cell for cell in cells)
    escaped = [cell for cell in cells if cell != "\\N"]
    return sure and bool(escaped) and all("\\" not in ESCAPE.sub("", cell) for cell in cells)


def pin_ids(pins: Sample, pin_id: str, root: Path) -> list[Any]:
    named = yaml.safe_load(pins.table)
    table = Table("guess", tuple(named if isinstance(named, list) else [named]), None, False, pins.dialect)
    return first_rows(open_source(table, root, [Column(pin_id)]), IDS).columns[pin_id]


def as_id(cell: Any) -> str | None:
    try:
        return text(cell)
    except BadValue:
        return None
