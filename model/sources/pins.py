"""The Pins of a spec's table, row by row: ids, images, texts; a row that breaks the contract is refused whole."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from model.catalogue import PINS, CatalogueWriter
from model.errors import CatalogueError
from model.sources.images import ImageFinder
from model.sources.lookups import LookupTable
from model.sources.report import Quarantine
from model.sources.spec import Annotations, Column, Lookup, Pins
from model.sources.tables import Source, scan
from model.sources.values import BadValue, flag, moment, text, texts

ROWS = 64  # images held at once while a batch is read
READ: Mapping[str, Callable[[Any], Any]] = {"created_at": moment, "consent": flag}  # every other column: text


@dataclass
class PinReader:
    """Turns a table's record into a row of the catalogue and remembers which Pins there are."""

    pins: Pins
    images: ImageFinder
    lookups: Mapping[str, LookupTable]
    absent: frozenset[str]  # optional columns no file has: the catalogue has no such column either
    known: dict[str, int] = field(default_factory=dict)  # pin_id -> its row

    def schema(self) -> pa.Schema:
        names = ["pin_id", "image", *self.pins.columns, *(["annotations"] if self.pins.annotations else [])]
        return pa.schema(
            [
                PINS.field(name) if name in PINS.names else pa.field(name, pa.string())
                for name in names
                if not self._is_absent(self.pins.columns.get(name))
            ]
        )

    def row(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record as {catalogue column: value}.

        Raises:
            BadValue: why the row is refused.
        """
        pin_id = named("pin_id", text, record[self.pins.pin_id.name])
        if pin_id is None:
            raise BadValue("no pin_id")
        if pin_id in self.known:
            raise BadValue("duplicate pin_id, the first one is kept")
        column = self.pins.image.column
        image = self.images.of_pin(pin_id) if column is None else self.images.of_cell(record[column.name])
        cells = {name: self._cell(name, source, record, pin_id) for name, source in self.pins.columns.items()}
        if self.pins.annotations:
            cells["annotations"] = self._annotations(self.pins.annotations, record, pin_id)
        return {"pin_id": pin_id, "image": image, **cells}

    def _cell(self, name: str, source: Column | Lookup, record: Mapping[str, Any], pin_id: str) -> Any:
        if isinstance(source, Lookup):
            return next(iter(self.lookups[name].of(pin_id)), None)
        return named(name, READ.get(name, text), record[source.name])

    def _annotations(self, source: Annotations | Lookup, record: Mapping[str, Any], pin_id: str) -> list[str]:
        if isinstance(source, Lookup):
            return self.lookups["annotations"].of(pin_id)
        found: list[str] = []
        for column in source.columns:
            found += named("annotations", lambda cell: texts(cell, source.separator), record[column.name])
        return list(dict.fromkeys(found))

    def _is_absent(self, source: Column | Lookup | None) -> bool:
        return isinstance(source, Column) and source.name in self.absent


def import_pins(
    reader: PinReader,
    source: Source,
    writer: CatalogueWriter,
    quarantine: Quarantine,
    report: Callable[[float, str], None],
) -> None:
    """Writes every Pin that can be kept.

    Raises:
        CatalogueError: there was none.
    """
    schema, tally = reader.schema(), source.tally
    for batch in scan(source, quarantine, ROWS):
        rows = []
        for place, record in batch.records():
            try:
                row = reader.row(record)
            except BadValue as bad:
                quarantine.refuse(tally, _key(record[reader.pins.pin_id.name], place), str(bad))
                continue
            reader.known[row["pin_id"]] = len(reader.known)
            rows.append(row)
        if rows:
            writer.write("pins", pa.Table.from_pylist(rows, schema=schema))
        tally.kept += len(rows)
        report(batch.done, f"{tally.kept:,} of {tally.read:,} pins kept")
    if not tally.kept:
        files = ", ".join(source.table.globs)
        why = f"none of the {tally.read} rows could be kept ({tally.reason})" if tally.read else "it holds no rows"
        raise CatalogueError(f"No Pin came out of {files} in {source.root}: {why}; check the spec's pins section.")


def named(name: str, read: Callable[[Any], Any], cell: Any) -> Any:
    """`read(cell)`; a refusal says which catalogue column it was."""
    try:
        return read(cell)
    except BadValue as bad:
        raise BadValue(f"{name} {bad}") from None


def _key(pin_id: Any, place: str) -> str:
    try:
        return text(pin_id) or place
    except BadValue:
        return place
