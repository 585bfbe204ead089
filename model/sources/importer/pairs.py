"""Sets of millions of (board, Pin) and (query, Pin) pairs: finds repeated pairs and sums clicks."""

import json
import sqlite3
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from model.data.catalogue import QUERIES, CatalogueWriter
from model.sources.importer.scratch import Names

HELD = QUERIES.append(pa.field("number", pa.int64()))
ROWS = 16_384  # written at once
ROWS_HELD = 2**19  # summed before they go to the database: most clicks repeat


class Seen:
    """A set of pairs of numbers below 2^31."""

    def __init__(self, db: sqlite3.Connection, table: str) -> None:
        self._db, self._table = db, table
        db.execute(f"CREATE TABLE {table} (pair INTEGER PRIMARY KEY)")

    def new(self, left: Sequence[int], right: Sequence[int]) -> np.ndarray:
        """Adds pairs; bool (N,): True where the pair is new."""
        pairs = np.asarray(left, dtype=np.int64) << 32 | np.asarray(right, dtype=np.int64)
        distinct, first = np.unique(pairs, return_index=True)
        write = f"INSERT OR IGNORE INTO {self._table} SELECT value FROM json_each(?) RETURNING pair"
        added = np.array(self._db.execute(write, (json.dumps(distinct.tolist()),)).fetchall(), dtype=np.int64)
        is_new = np.zeros(len(pairs), dtype=bool)
        is_new[first[np.isin(distinct, added)]] = True
        return is_new


class QueryClicks:
    """Clicks summed by (query, Pin), nearly in the order of the table."""

    def __init__(self, db: sqlite3.Connection, pins: str) -> None:
        """`pins`: the table that numbers the Pins."""
        self._db, self._pins, self._queries = db, pins, Names(db, "queries")
        self._held: list[pa.Table] = []
        db.execute("CREATE TABLE clicks (query INTEGER, pin INTEGER, clicks INTEGER, UNIQUE (query, pin))")

    def add(self, clicks: Mapping[tuple[str, int, str], int]) -> None:
        """`clicks` by query, number of the Pin and its id in the catalogue."""
        queries, numbers, pins = zip(*clicks, strict=True) if clicks else ((), (), ())
        self._held.append(pa.table([queries, pins, list(clicks.values()), numbers], schema=HELD))
        if sum(part.num_rows for part in self._held) >= ROWS_HELD:
            self._sum()

    def write(self, writer: CatalogueWriter, prefix: str) -> int:
        """Writes one row a (query, Pin), the prefix before its id; returns how many."""
        self._sum()
        # CROSS JOIN: the clicks in their order, the names looked up; a sort would need room of its own.
        found = self._db.execute(
            f"SELECT queries.name, ? || pins.name, clicks FROM clicks "
            f"CROSS JOIN queries ON queries.number = clicks.query "
            f"CROSS JOIN {self._pins} AS pins ON pins.number = clicks.pin ORDER BY clicks.rowid",
            (prefix,),
        )
        written = 0
        while rows := found.fetchmany(ROWS):
            columns = [list(column) for column in zip(*rows, strict=True)]
            writer.write("queries", pa.table(columns, schema=QUERIES))
            written += len(rows)
        return written

    def _sum(self) -> None:
        """Adds the clicks in memory to the database."""
        if not self._held:
            return
        # One thread: the same tables give the same order.
        grouped = pa.concat_tables(self._held).group_by(["query", "pin_id"], use_threads=False)
        summed = grouped.aggregate([("clicks", "sum"), ("number", "min")])
        self._held = []
        for batch in summed.to_batches(max_chunksize=ROWS):
            queries, _, clicks, pins = (column.to_pylist() for column in batch.columns)
            numbers = self._queries.add(queries)
            rows = zip(map(numbers.__getitem__, queries), pins, clicks, strict=True)
            write = "INSERT INTO clicks VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET clicks = clicks + excluded.clicks"
            self._db.executemany(write, rows)
