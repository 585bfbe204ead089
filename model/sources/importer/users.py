"""Imports the users and preferences of a spec; a preference whose Pin was not imported is refused."""

import sqlite3
from collections.abc import Collection
from typing import Any

import pyarrow as pa

from model.data.catalogue import PREFERENCES, USERS, CatalogueWriter
from model.sources.importer.edges import ROWS, PinRows, Progress
from model.sources.importer.report import Quarantine
from model.sources.importer.row_values import ids, optional_values, required_values, row_key
from model.sources.importer.scratch import Names
from model.sources.importer.spec.definition import Rows
from model.sources.importer.tables.stream import Source, TableBatch, require_rows, scan
from model.sources.importer.values.cells import BadValue, flag, number, word
from model.sources.importer.values.id_spellings import user_name
from model.sources.importer.values.times import time_reader


class ListedUsers:
    """The list of users, and who of them gave consent; where the spec has none, every user may be used."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._listed, self._withheld = Names(db, "users"), Names(db, "withheld_users")

    def run(
        self, spec: Rows, source: Source, writer: CatalogueWriter, quarantine: Quarantine, report: Progress
    ) -> None:
        """Streams one table of users.

        Raises:
            SpecError: none of its rows could be kept.
        """
        tally, schema = source.tally, _schema(USERS, spec, source)
        for batch in scan(source, quarantine, ROWS):
            columns = _cells(spec, batch)
            refused = dict[int, str]()
            users = ids("user_id", user_name, columns["user_id"], refused)
            consents = required_values(
                "consent", flag, columns["consent"] if "consent" in schema.names else [True] * len(users), refused
            )
            rows = [row for row in range(len(users)) if row not in refused]
            kept = {"user_id": [users[row] for row in rows], "consent": [consents[row] for row in rows]}
            if rows:
                writer.write("users", pa.table([kept[name] for name in schema.names], schema=schema))
            self._listed.add(kept["user_id"])
            self._withheld.add([user for user, given in zip(*kept.values(), strict=True) if not given])
            for row in sorted(refused):
                quarantine.refuse(tally, users[row] or None, refused[row], batch.place(row))
            tally.kept += len(rows)
            report(batch.done, f"{tally.kept:,} of {tally.read:,} users kept")
        require_rows(source)

    def usable(self, users: Collection[str]) -> set[str]:
        """Those that may be used."""
        if not len(self._listed):
            return set(users)
        return set(self._listed.find(users)) - set(self._withheld.find(users))


def import_preferences(
    spec: Rows, source: Source, pins: PinRows, writer: CatalogueWriter, quarantine: Quarantine, report: Progress
) -> None:
    """Streams one table of preferences.

    Raises:
        SpecError: none of its rows could be kept.
    """
    tally, schema, read_time = source.tally, _schema(PREFERENCES, spec, source), time_reader(spec.formats.get("time"))
    for batch in scan(source, quarantine, ROWS):
        columns = _cells(spec, batch)
        refused = dict[int, str]()
        users = ids("user_id", user_name, columns["user_id"], refused)
        found = pins.find(columns["pin_id"], refused, tally)
        weights = required_values("weight", _weight, columns.get("weight", [None] * len(users)), refused)
        rows = [row for row in range(len(users)) if row not in refused]
        kept = {
            "user_id": [users[row] for row in rows],
            "pin_id": [found[row][1] for row in rows],
            "kind": optional_values("kind", word, (columns["kind"][row] for row in rows if "kind" in columns), tally),
            "weight": [weights[row] for row in rows],
            "time": optional_values(
                "time", read_time, (columns["time"][row] for row in rows if "time" in columns), tally
            ),
        }
        if rows:
            writer.write("preferences", pa.table([kept[name] for name in schema.names], schema=schema))
        for row in sorted(refused):
            key = row_key(columns["user_id"][row], columns["pin_id"][row])
            quarantine.refuse(tally, key, refused[row], batch.place(row))
        tally.kept += len(rows)
        report(batch.done, f"{tally.kept:,} of {tally.read:,} preferences kept")
    require_rows(source)


def _schema(table: pa.Schema, spec: Rows, source: Source) -> pa.Schema:
    return pa.schema(
        [field for field in table if (column := spec.columns.get(field.name)) and column.name not in source.absent]
    )


def _cells(spec: Rows, batch: TableBatch) -> dict[str, list[Any]]:
    """The cells of a batch by the catalogue's column."""
    return {name: batch.columns[column.name] for name, column in spec.columns.items()}


def _weight(cell: Any) -> float | None:
    weight = number(cell)
    if weight is not None and weight <= 0:
        raise BadValue("is not above 0")
    return weight
