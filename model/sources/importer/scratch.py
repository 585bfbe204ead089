"""A temporary SQLite file for whatever grows with the tables (ids, pairs, clicks, files), so that memory is bounded.

with scratch(folder / "scratch.sqlite") as db:
    names = Names(db, "boards")
    names.add(["b", "c"])        # {"b": 0, "c": 1}
    names.find(["c", "x"])       # {"c": 1}
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

CACHE = 64 * 2**20  # bytes of the file held in memory; a smaller one is never written
RECENT = 2**17  # names held in memory, of each table of names
AT_ONCE = 512  # keys of one SELECT


@contextmanager
def scratch(path: Path) -> Iterator[sqlite3.Connection]:
    """A database of this process alone, removed at the end. A full disk raises sqlite3.Error."""
    # Nobody else opens the file and nothing reads it after a crash: no locks, no journal, one transaction.
    name = f"file:{quote(str(path.absolute()))}?nolock=1"
    try:
        with closing(sqlite3.connect(name, uri=True, isolation_level=None)) as db:
            for setting in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{CACHE // 1024}", "temp_store=FILE"):
                db.execute(f"PRAGMA {setting}")
            db.execute("BEGIN")
            yield db
    finally:
        path.unlink(missing_ok=True)


def select(db: sqlite3.Connection, query: str, keys: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """Rows of a query that ends in `IN`, for any number of keys."""
    wanted = sorted(set(keys))  # neighbours lie on one page of the file
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        # Of few lengths, so that each statement is compiled once; a key that is asked twice is found once.
        some += some[-1:] * (2 ** (len(some) - 1).bit_length() - len(some))
        yield from db.execute(f"{query} ({', '.join('?' * len(some))})", some)


class Names:
    """Texts with numbers, counted from 0 in the order in which they were added."""

    def __init__(self, db: sqlite3.Connection, table: str) -> None:
        self._db, self._table, self._count = db, table, 0
        self._recent: dict[str, int] = {}  # all names while they are few, later those met last
        db.execute(f"CREATE TABLE {table} (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)")

    def __len__(self) -> int:
        return self._count

    def find(self, names: Collection[str]) -> dict[str, int]:
        """{name: number} of the names that were added."""
        recent = self._recent
        found = {name: recent[name] for name in names if name in recent}
        if len(recent) < self._count and len(found) < len(names):
            rest = (name for name in names if name not in found)
            older = dict(select(self._db, f"SELECT name, number FROM {self._table} WHERE name IN", rest))
            self._remember(older)
            found |= older
        return found

    def add(self, names: Collection[str]) -> dict[str, int]:
        """{name: number} of all these names; new ones get the next numbers in their order."""
        found = self.find(names)
        new = {name: number for number, name in enumerate(dict.fromkeys(n for n in names if n not in found), len(self))}
        if new:
            self._db.executemany(f"INSERT INTO {self._table} (name, number) VALUES (?, ?)", new.items())
            self._count += len(new)
            self._remember(new)
        return found | new

    def first(self) -> str | None:
        row = self._db.execute(f"SELECT name FROM {self._table} WHERE number = 0").fetchone()
        return row[0] if row else None

    def _remember(self, names: dict[str, int]) -> None:
        if len(self._recent) + len(names) > RECENT:
            self._recent.clear()
        self._recent |= names
