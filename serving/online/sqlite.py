"""Feast's SQLite: the values of many Pins by one query."""

import sqlite3
from typing import TYPE_CHECKING

from serving.online.generic import write_newer

if TYPE_CHECKING:
    from feast import FeatureStore

    from serving.online import Read

__all__ = ["errors", "reader", "write_newer"]


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
