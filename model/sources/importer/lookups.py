"""Values of a child table, such as keywords or colours, gathered by pin_id before the Pins are read."""

import math
import sqlite3
from collections.abc import Mapping
from typing import Any

from model.sources.importer.report import Quarantine
from model.sources.importer.spec.definition import Lookup
from model.sources.importer.tables.stream import Source, TableBatch, scan
from model.sources.importer.values.cells import BadValue, identifier, number, word
from model.sources.importer.values.id_spellings import Spellings

ROWS = 16_384


class LookupTable:
    """pin_id -> its values, the largest `by` first; without `by` in the order of the table."""

    def __init__(
        self, lookup: Lookup, source: Source, quarantine: Quarantine, db: sqlite3.Connection, name: str
    ) -> None:
        """`name`: of the tables that it makes in `db`."""
        self.source, self._lookup, self._db, self._name, self._table = source, lookup, db, name, f"{name}_values"
        self._keys = Spellings(db, name)
        # The negative rank, so that the primary key has the values of a Pin in the order in which they are read.
        db.execute(f"CREATE TABLE {self._table} (key, rank, row, value, PRIMARY KEY (key, rank, row)) WITHOUT ROWID")
        rows = 0
        for batch in scan(source, quarantine, ROWS):
            found = self._read(batch, quarantine)
            numbers = self._keys.add([key for key, _, _ in found])
            cells = ((numbers[key], rank, row, value) for row, (key, rank, value) in enumerate(found, rows))
            db.executemany(f"INSERT INTO {self._table} VALUES (?, ?, ?, ?)", cells)
            rows += len(found)

    def of(self, pin_id: str) -> list[str]:
        """Distinct values; equal `by` keep the table's order."""
        found = self._keys.find((pin_id,)).get(pin_id)
        if found is None:
            return []
        query = f"SELECT value FROM {self._table} WHERE key = ? ORDER BY rank, row"
        return list(dict.fromkeys(value for (value,) in self._db.execute(query, found[:1])))

    def settle(self, pins: Spellings) -> None:
        """Counts rows of imported Pins as kept, the others as dropped."""
        tally = self.source.tally
        counted = (
            f"SELECT ids.name, count(*) FROM {self._table} AS cells "
            f"CROSS JOIN {self._name} AS ids ON ids.number = cells.key GROUP BY cells.key"
        )
        for key, rows in self._db.execute(counted):
            if pins.find((key,)):
                tally.kept += rows
            else:
                tally.dropped["of Pins that are not in the catalogue"] += rows
                tally.example = tally.example or pins.example(key)

    def _read(self, batch: TableBatch, quarantine: Quarantine) -> list[tuple[str, float, str]]:
        """(key, negative rank, value) of the rows that have them."""
        found = []
        for place, record in batch.records():
            try:
                key, value = identifier(record[self._lookup.key.name]), word(record[self._lookup.value.name])
            except BadValue as bad:
                quarantine.refuse(self.source.tally, None, f"a value {bad}", place)
                continue
            if key is None or value is None:
                quarantine.refuse(self.source.tally, None, "no key or no value", place)
                continue
            found.append((key, -self._rank(record), value))
        return found

    def _rank(self, record: Mapping[str, Any]) -> float:
        """Rows without a readable `by` come last."""
        by = self._lookup.by
        try:
            rank = number(record[by.name]) if by else None
        except BadValue as bad:
            self.source.tally.left_empty[f"by {bad}"] += 1
            rank = None
        return -math.inf if rank is None else rank
