"""The first rows of the tables that a spec is guessed from."""

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from model.errors import SpecError
from model.sources.importer.guess.lines import quoted
from model.sources.importer.spec.checks import Column
from model.sources.importer.spec.definition import Table
from model.sources.importer.spec.dialect import Dialect
from model.sources.importer.tables.stream import first_rows, open_source, table_columns
from model.sources.importer.values.cells import BadValue, text

SAMPLE = 1000  # rows looked at
IDS = 100_000  # of Pins, to find the column of another table that names them


@dataclass(frozen=True)
class Sample:
    """The first rows of files with the same columns."""

    table: str  # as the spec names it
    columns: dict[str, list[Any]]
    unquoted: bool  # its quotes are no quotes

    def opening(self) -> list[str]:
        lines = [f"  table: {self.table}"]
        if self.unquoted:
            lines.append("  quotes: none  # read with quotes, lines of this file would run into each other")
        return lines


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
    for dialect in (Dialect(), Dialect(quotes=None, sure=True)):
        try:
            source = open_source(Table("guess", tuple(named), None, False, dialect), root, [])
            columns = [Column(name) for name in table_columns(source.files[0], root, dialect)]
            chunk = first_rows(open_source(Table("guess", tuple(named), None, False, dialect), root, columns), SAMPLE)
        except SpecError as error:
            if dialect.quotes and "a quoted value" in str(error):
                continue
            raise
        if not any("quotes: none" in reason for _, reason in chunk.refused):
            break
    table = quoted(named[0]) if len(named) == 1 else "[" + ", ".join(map(quoted, named)) + "]"
    return Sample(table, chunk.columns, dialect.quotes is None)


def pin_ids(pins: Sample, pin_id: str, root: Path) -> list[Any]:
    named = yaml.safe_load(pins.table)
    dialect = Dialect(quotes=None) if pins.unquoted else Dialect()
    table = Table("guess", tuple(named if isinstance(named, list) else [named]), None, False, dialect)
    return first_rows(open_source(table, root, [Column(pin_id)]), IDS).columns[pin_id]


def as_id(cell: Any) -> str | None:
    try:
        return text(cell)
    except BadValue:
        return None
