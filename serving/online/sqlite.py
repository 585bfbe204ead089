"""Feast's SQLite: the values of many Pins by one query."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from serving.online.generic import write_newer

if TYPE_CHECKING:
    from feast import FeatureStore

    from serving.online import Read

WAIT_S = 60.0  # for readers and writers of other processes

__all__ = ["erase", "errors", "held", "reader", "write_newer"]


def errors() -> tuple[type[Exception], ...]:
    return (sqlite3.Error,)


def reader(store: "FeatureStore", view: str) -> "Read":
    connection = store.provider.online_store._get_conn(store.config)
    table = f'"{store.project}_{view}"'

    def read(keys: list[bytes]) -> list[bytes | None]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT entity_key, value FROM {table} WHERE feature_name = 'vector' AND entity_key IN ({marks})"
        found = dict(connection.execute(query, keys).fetchall())
        return [found.get(key) for key in keys]

    return read


def held(store: "FeatureStore", views: Sequence[str], keys: Sequence[bytes]) -> int:
    connection = store.provider.online_store._get_conn(store.config)
    return sum(_count(connection, store.project, view, keys) for view in views)


def erase(store: "FeatureStore", views: Sequence[str], keys: Sequence[bytes]) -> int:
    """The file is then written anew: SQLite leaves the bytes of removed rows where they are until it needs the room."""
    found = held(store, views, keys)
    with closing(sqlite3.connect(store.config.online_store.path, timeout=WAIT_S, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        for view in views:
            marks = ",".join("?" * len(keys))
            connection.execute(f'DELETE FROM "{store.project}_{view}" WHERE entity_key IN ({marks})', keys)
        if found:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def _count(connection: sqlite3.Connection, project: str, view: str, keys: Sequence[bytes]) -> int:
    marks = ",".join("?" * len(keys))
    query = f'SELECT COUNT(DISTINCT entity_key) FROM "{project}_{view}" WHERE entity_key IN ({marks})'
    return int(connection.execute(query, keys).fetchone()[0])
