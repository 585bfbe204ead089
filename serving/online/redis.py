"""Feast's Redis: many rows by one pipeline, faster than Feast itself (benchmarks/feature_reads.py)."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from serving.online.feast_bytes import bytes_header, entity_keys, pipelined

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView
    from feast.types import FeastType

    from serving.online import Read


SPACES, SERVING = "pinclip:spaces", "pinclip:serving"
RETRIES, WAIT_S = 2, 0.2  # of a call that finds nobody
CONNECT_S, ANSWER_S = 2.0, 5.0


def limit_waiting(store: "FeatureStore") -> None:
    from redis.backoff import ConstantBackoff
    from redis.retry import Retry

    client = store.provider.online_store._get_client(store.config.online_store)
    client.set_retry(Retry(ConstantBackoff(WAIT_S), RETRIES))
    settings = client.get_connection_kwargs()
    for name, seconds in (("socket_connect_timeout", CONNECT_S), ("socket_timeout", ANSWER_S)):
        if settings.get(name) is None:  # the connection string may say otherwise
            settings[name] = seconds


def errors() -> tuple[type[Exception], ...]:
    from redis.exceptions import RedisError

    return (RedisError,)


def reader(store: "FeatureStore", view: str) -> "Read":
    from feast.infra.online_stores.helpers import _mmh3

    client = store.provider.online_store._get_client(store.config.online_store)
    field, project = _mmh3(f"{view}:vector"), store.project.encode()
    return lambda keys: pipelined(client, [("HGET", key + project, field) for key in keys])


def write_newer(store: "FeatureStore", view: "FeatureView", rows: pa.Table) -> None:
    """Writes those rows (key, features, event_timestamp; one row a key) that are newer than what Redis holds.

    Feast makes a message of every row, which takes two to four times as long (docs/results.md, "A million Pins").
    """
    from feast.infra.online_stores.helpers import _mmh3

    client, project = store.provider.online_store._get_client(store.config.online_store), store.project.encode()
    join_key, stamp = view.entity_columns[0].name, f"_ts:{view.name}"
    keys = [key + project for key in entity_keys(join_key, rows[join_key].to_pylist())]
    fields = [_mmh3(f"{view.name}:{feature.name}") for feature in view.features]
    stored = zip(*(_stored(rows[feature.name], feature.dtype) for feature in view.features), strict=True)
    times = rows["event_timestamp"].to_pylist()
    stamps = {time: _timestamp(time) for time in set(times)}
    held = pipelined(client, [("HGET", key, stamp) for key in keys])
    moments = {one: _nanoseconds(one) for one in {*held, *stamps.values()} if one is not None}  # b"" is 1970
    commands = [
        ("HSET", key, stamp, stamps[time], *chain.from_iterable(zip(fields, values, strict=True)))
        for key, values, time, old in zip(keys, stored, times, held, strict=True)
        if old is None or moments[old] < moments[stamps[time]]
    ]
    if lifetime := store.config.online_store.key_ttl_seconds:
        commands += [("EXPIRE", command[1], lifetime) for command in commands]
    pipelined(client, commands)


def _stored(column: pa.ChunkedArray, dtype: "FeastType") -> list[bytes]:
    """The values of a feature as Feast stores them."""
    from feast.type_map import python_values_to_proto_values
    from feast.types import Bytes

    values = column.to_numpy()  # as Feast does: of a time that is missing its converter knows NaT alone
    if dtype == Bytes and not column.null_count:
        headers = {size: bytes_header(size) for size in set(map(len, values))}
        return [headers[len(value)] + value for value in values]
    return [value.SerializeToString() for value in python_values_to_proto_values(values, dtype.to_value_type())]


def tell_spaces(store: "FeatureStore", spaces: Mapping[str, Mapping[str, Any]], serving: str | None) -> None:
    """Writes what is known of each published space, and which one serves, for readers without Feast (client/)."""
    client = store.provider.online_store._get_client(store.config.online_store)
    with client.pipeline(transaction=True) as pipeline:
        pipeline.delete(SPACES, SERVING)
        for name, fields in spaces.items():
            pipeline.hset(SPACES, name, json.dumps(fields))
        if serving is not None:
            pipeline.set(SERVING, serving)
        pipeline.execute()


def held(store: "FeatureStore", views: Sequence[str], keys: Sequence[bytes]) -> int:
    client, project = store.provider.online_store._get_client(store.config.online_store), store.project.encode()
    return sum(pipelined(client, [("HEXISTS", key + project, f"_ts:{view}") for key in keys for view in views]))


def erase(store: "FeatureStore", views: Sequence[str], keys: Sequence[bytes]) -> int:
    """A hash of which no field is left goes with its key."""
    from feast.infra.online_stores.helpers import _mmh3

    client, project = store.provider.online_store._get_client(store.config.online_store), store.project.encode()
    fields = [
        field
        for view in views
        for field in (f"_ts:{view}", *(_mmh3(f"{view}:{one.name}") for one in store.get_feature_view(view).features))
    ]
    found = held(store, views, keys)
    pipelined(client, [("HDEL", key + project, *fields) for key in keys])
    return found


def _timestamp(time: datetime) -> bytes:
    from google.protobuf.timestamp_pb2 import Timestamp

    message = Timestamp()
    message.FromDatetime(time)
    return message.SerializeToString()


def _nanoseconds(timestamp: bytes) -> int:
    from google.protobuf.timestamp_pb2 import Timestamp

    return Timestamp.FromString(timestamp).ToNanoseconds()
