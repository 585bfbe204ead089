"""The account of rows that do not enter a run: bad rows are quarantined one by one with a reason, the rest is counted.

Quarantined: the row is broken (a truncated image, an unknown Pin); somebody should fix it.
Dropped: the row is fine and must not or need not enter (no consent, a board too small, a repeated row).
"""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc

from model.data.catalogue import OF_USERS, SCHEMAS

QUARANTINE = pa.schema([("table", pa.string()), ("key", pa.string()), ("reason", pa.string())])
NO_CONSENT = "no consent"
# What names a row of each table to the person who fixes it.
KEYS = {
    "pins": ("pin_id",),
    "boards": ("board_id", "pin_id"),
    "queries": ("query", "pin_id"),
    "users": ("user_id",),
    "preferences": ("user_id", "pin_id"),
}
KEY_CHARACTERS, KEY_SEPARATOR = 200, " · "


class Ledger:
    """Every source row ends in exactly one account: kept, quarantined or dropped."""

    def __init__(self) -> None:
        self.read = dict.fromkeys(SCHEMAS, 0)
        self.there = set(SCHEMAS) - set(OF_USERS)  # tables that the source has
        self.quarantined: dict[str, Counter[str]] = {table: Counter() for table in SCHEMAS}
        self.dropped: dict[str, Counter[str]] = {table: Counter() for table in SCHEMAS}
        self._rows: list[pa.Table] = []

    def count_read(self, table: str, rows: int) -> None:
        self.read[table] = rows
        self.there.add(table)

    def quarantine(self, table: str, keys: pa.Array | pa.ChunkedArray | list[str], reasons: list[str]) -> None:
        """Writes down one row for every key."""
        self.quarantined[table].update(reasons)
        self._rows.append(pa.table([pa.array([table] * len(reasons), pa.string()), keys, reasons], schema=QUARANTINE))

    def drop(self, table: str, reason: str, rows: int) -> None:
        if rows:
            self.dropped[table][reason] += rows

    def without(self, table: str, rows: pa.Table, bad: pa.ChunkedArray, reason: str, quarantine: bool) -> pa.Table:
        """The rows where `bad` (bool) does not hold; the others go to the account of `reason`."""
        refused = rows.filter(bad)
        if not refused.num_rows:
            return rows
        if quarantine:
            columns = [refused[name] for name in KEYS[table]]
            keys = pc.binary_join_element_wise(*columns, KEY_SEPARATOR, null_handling="replace")
            keys = pc.utf8_slice_codeunits(keys, 0, KEY_CHARACTERS).combine_chunks()
            self.quarantine(table, keys, [reason] * refused.num_rows)
        else:
            self.drop(table, reason, refused.num_rows)
        return rows.filter(pc.invert(bad))

    def table(self) -> pa.Table:
        """All quarantined rows: table, key, reason."""
        return pa.concat_tables(self._rows) if self._rows else QUARANTINE.empty_table()

    def summaries(self) -> dict[str, dict]:
        """By table."""
        return {table: self.summary(table) for table in SCHEMAS if table in self.there}

    def summary(self, table: str) -> dict:
        """Counts of rows; `quarantined_share` leaves out what must not enter at all."""
        read, quarantined, dropped = self.read[table], self.quarantined[table], self.dropped[table]
        considered = read - dropped[NO_CONSENT]
        return {
            "read": read,
            "kept": read - quarantined.total() - dropped.total(),
            "quarantined": dict(quarantined.most_common()),
            "dropped": dict(dropped.most_common()),
            "quarantined_share": quarantined.total() / considered if considered else 0.0,
        }
