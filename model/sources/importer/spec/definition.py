"""The parsed and checked import spec: its tables, and the meaning of their columns (docs/specs.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from model.sources.importer.spec.checks import Column
from model.sources.importer.spec.dialect import Dialect
from model.sources.importer.spec.row_filter import RowFilter


@dataclass(frozen=True)
class Table:
    label: str  # where it stands in the spec: "pins", "boards[1]", "annotations"
    globs: tuple[str, ...]
    where: RowFilter | None
    optional: bool
    dialect: Dialect = field(default_factory=Dialect)


@dataclass(frozen=True)
class Lookup:
    """Values of another table, found by pin_id; the largest `by` first."""

    table: Table
    key: Column
    value: Column
    by: Column | None

    def columns(self) -> list[Column]:
        return [column for column in (self.key, self.value, self.by) if column]


@dataclass(frozen=True)
class Image:
    column: Column | None  # None: files named by pin_id
    folder: str  # relative to the root
    is_base64: bool = False  # the column holds the bytes as text


@dataclass(frozen=True)
class Annotations:
    columns: tuple[Column, ...]
    separator: str | None
    format: str | None = None  # json or python


@dataclass(frozen=True)
class Pins:
    table: Table
    pin_id: Column
    image: Image
    columns: Mapping[
        str, Column | Lookup
    ]  # catalogue column -> where from; slices as slice_<name>, numbers as number_<name>
    annotations: Annotations | Lookup | None
    formats: Mapping[str, str] = field(default_factory=dict)  # catalogue column -> how its times are written
    prefix: str = ""  # of the Pins' ids in the catalogue


@dataclass(frozen=True)
class Rows:
    """Boards, queries, users or preferences of a table: catalogue column -> the table's column."""

    table: Table
    columns: Mapping[str, Column]
    formats: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""  # of the boards' ids


@dataclass(frozen=True)
class BoardTitles:
    """Uses the titles of boards whose row passes the filter as queries for the Pins on them."""

    where: RowFilter | None


@dataclass(frozen=True)
class Spec:
    path: Path
    root: Path
    pins: Pins
    boards: tuple[Rows, ...]
    queries: tuple[Rows | BoardTitles, ...]
    users: tuple[Rows, ...] = ()
    preferences: tuple[Rows, ...] = ()
