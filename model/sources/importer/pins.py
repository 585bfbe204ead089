"""The Pins of a spec's table, row by row: ids, images, texts; a row that breaks the contract is refused whole."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from model.data.catalogue import NUMBER_PREFIX, PINS, SLICE_PREFIX, CatalogueWriter
from model.data.ids import pin_id_refusal
from model.errors import CatalogueError
from model.sources.importer.images import ImageFinder
from model.sources.importer.lookups import LookupTable
from model.sources.importer.report import Quarantine, Tally
from model.sources.importer.spec.checks import Column
from model.sources.importer.spec.definition import Annotations, Lookup, Pins
from model.sources.importer.tables.stream import Source, TableBatch, scan
from model.sources.importer.values.cells import BadValue, flag, identifier, named, number, text, word
from model.sources.importer.values.id_spellings import Spellings
from model.sources.importer.values.lists import looks_like_a_list, texts
from model.sources.importer.values.times import time_reader

ROWS = 64  # images held in memory at once
REQUIRED_IF_WRITTEN = ("consent",)  # an unreadable consent must not count as a missing one


@dataclass
class PinReader:
    """Turns a table's record into a row of the catalogue and remembers which Pins there are."""

    pins: Pins
    images: ImageFinder
    lookups: Mapping[str, LookupTable]
    absent: frozenset[str]  # optional columns that no file has; the catalogue lacks them too
    tally: Tally
    known: Spellings  # ids in the table, without the prefix
    taken: set[str] = field(default_factory=set)  # ids of the batch that no further row may have

    def schema(self) -> pa.Schema:
        names = ["pin_id", "image", *self.pins.columns, *(["annotations"] if self.pins.annotations else [])]
        return pa.schema(
            [
                PINS.field(name) if name in PINS.names else pa.field(name, _type(name))
                for name in names
                if not self._is_absent(self.pins.columns.get(name))
            ]
        )

    def row(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record as {catalogue column: value}.

        Raises:
            BadValue: why the row is refused.
        """
        pin_id = named("pin_id", identifier, record[self.pins.pin_id.name])
        if pin_id is None:
            raise BadValue("no pin_id")
        if refused := pin_id_refusal(self.pins.prefix + pin_id):
            raise BadValue(f"pin_id {refused}")
        if pin_id in self.taken:
            raise BadValue("duplicate pin_id, the first one is kept")
        column = self.pins.image.column
        image = self.images.of_pin(pin_id) if column is None else self.images.of_cell(record[column.name])
        left_empty = Counter[str]()
        cells = {
            name: self._cell(name, source, record, pin_id, left_empty) for name, source in self.pins.columns.items()
        }
        if self.pins.annotations:
            cells["annotations"] = self._annotations(self.pins.annotations, record, pin_id, left_empty)
        self.tally.left_empty += left_empty
        return {"pin_id": self.pins.prefix + pin_id, "image": image, **cells}

    def rows(self, batch: TableBatch, quarantine: Quarantine) -> list[dict[str, Any]]:
        """The rows of a batch that are kept; the others go to quarantine."""
        rows, new, records = [], [], list(batch.records())
        self.taken = self.known.written(self._ids(record for _, record in records))
        for place, record in records:
            try:
                rows.append(self.row(record))
            except BadValue as bad:
                quarantine.refuse(self.tally, _key(record[self.pins.pin_id.name]), str(bad), place)
            else:
                new.append(rows[-1]["pin_id"].removeprefix(self.pins.prefix))
                self.taken.add(new[-1])
        self.known.add(new)
        return rows

    def _ids(self, records: Iterable[Mapping[str, Any]]) -> set[str]:
        """The ids of the records that have one."""
        found: set[str | None] = set()
        for record in records:
            with suppress(BadValue):
                found.add(identifier(record[self.pins.pin_id.name]))
        return {pin_id for pin_id in found if pin_id}

    def _cell(
        self, name: str, source: Column | Lookup, record: Mapping[str, Any], pin_id: str, left_empty: Counter[str]
    ) -> Any:
        if isinstance(source, Lookup):
            return next(iter(self.lookups[name].of(pin_id)), None)
        try:
            return named(name, self._reader(name), record[source.name])
        except BadValue as bad:
            if name in REQUIRED_IF_WRITTEN:
                raise
            left_empty[str(bad)] += 1
            return None

    def _reader(self, name: str) -> Callable[[Any], Any]:
        if name == "consent":
            return flag
        if name == "created_at":
            return time_reader(self.pins.formats.get(name))
        if name.startswith(NUMBER_PREFIX):
            return number
        return word if name == "group_id" or name.startswith(SLICE_PREFIX) else text

    def _annotations(
        self, source: Annotations | Lookup, record: Mapping[str, Any], pin_id: str, left_empty: Counter[str]
    ) -> list[str]:
        if isinstance(source, Lookup):
            return self.lookups["annotations"].of(pin_id)
        found: list[str] = []
        for column in source.columns:
            try:
                found += texts(record[column.name], source.separator, source.format)
            except BadValue as bad:
                left_empty[f"annotations {bad}"] += 1
            if not source.separator and not source.format:
                self.tally.listlike += looks_like_a_list(record[column.name])
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
        rows = reader.rows(batch, quarantine)
        if rows:
            writer.write("pins", pa.Table.from_pylist(rows, schema=schema))
        tally.kept += len(rows)
        report(batch.done, f"{tally.kept:,} of {tally.read:,} pins kept")
    if not tally.kept:
        files = ", ".join(source.table.globs)
        why = f"none of the {tally.read} rows could be kept ({tally.reason})" if tally.read else "it holds no rows"
        raise CatalogueError(f"No Pin came out of {files} in {source.root}: {why}; check the spec's pins section.")


def _type(name: str) -> pa.DataType:
    return pa.float64() if name.startswith(NUMBER_PREFIX) else pa.string()


def _key(pin_id: Any) -> str | None:
    try:
        return text(pin_id)
    except BadValue:
        return None
