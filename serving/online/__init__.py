"""Feast's online stores: many stored values are read at once, and the newest rows written.

    read = reader(store, "pin_embedding_v7")           # entity keys -> stored bytes, None where there is none
    with answering(store):                             # what the store's own client raises becomes ServerAway
        values = read(entity_keys("pin_id", ids))

Redis and SQLite have a module that is faster than Feast; any other store that Feast knows works through Feast itself
(generic.py). To make another one fast, add its module and name it in MODULES.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

from model.errors import ServerAway, StoreError
from serving.online import generic, redis, sqlite

if TYPE_CHECKING:
    import pyarrow as pa
    from feast import FeatureStore, FeatureView

MODULES: dict[str, ModuleType] = {"redis": redis, "sqlite": sqlite}  # by Feast's `online_store.type`
Read = Callable[[list[bytes]], list[bytes | None]]  # entity keys -> stored values


def reader(store: "FeatureStore", view: str) -> Read:
    """Reads the feature `vector` of a view by entity keys of `pin_id`."""
    read: Read = _module(store).reader(store, view)
    return read


def write_newer(store: "FeatureStore", view: "FeatureView", rows: "pa.Table") -> None:
    """Writes those rows (key, features, event_timestamp; one row a key) that are newer than what is stored."""
    _module(store).write_newer(store, view, rows)


def held(store: "FeatureStore", views: Sequence[str], keys: Sequence[bytes]) -> int:
    """How many rows of these entities the views hold; each view has one row an entity."""
    count: int = _module(store).held(store, views, keys)
    return count


def erase(store: "FeatureStore", views: Sequence[str], keys: Sequence[bytes]) -> int:
    """Removes these entities' rows from the views; returns how many there were.

    Raises:
        StoreError: the store is one from which Feast removes no single rows.
    """
    count: int = _module(store).erase(store, views, keys)
    return count


def limit_waiting(store: "FeatureStore") -> None:
    """From now on a call that nobody answers fails within seconds, where the store's client can be told so: redis-py
    would try again for ten seconds and more, or wait for ever."""
    limit = getattr(_module(store), "limit_waiting", None)
    if limit is not None:
        limit(store)


@contextmanager
def answering(store: "FeatureStore") -> Iterator[None]:
    """Raises ServerAway where the online store does not answer."""
    try:
        yield
    except StoreError:
        raise
    except _module(store).errors() as error:
        raise ServerAway(f"The online store does not answer ({error}); see that it runs, then ask again.") from error


def _module(store: "FeatureStore") -> ModuleType:
    return MODULES.get(store.config.online_store.type, generic)
