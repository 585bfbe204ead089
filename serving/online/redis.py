"""Feast's Redis: many vectors by one pipeline, faster than Feast itself (benchmarks/feature_reads.py)."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from serving.online import generic
from serving.online.feast_bytes import bytes_header, entity_keys, pipelined

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

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
    """Writes a view of one feature of bytes itself, and leaves any other to Feast."""
    from feast.types import Bytes

    if [field.dtype for field in view.features] == [Bytes]:
        write_vectors(store, view, rows)
    else:
        generic.write_newer(store, view, rows)


def write_vectors(store: "FeatureStore", view: "FeatureView", rows: pa.Table) -> None:
    """Writes those rows (key, feature, event_timestamp; one row a key) that are newer than what Redis holds."""
    from feast.infra.online_stores.helpers import _mmh3

    client = store.provider.online_store._get_client(store.config.online_store)
    feature, project = view.features[0].name, store.project.encode()
    ids, values = rows[view.entity_columns[0].name].to_pylist(), rows[feature].to_pylist()
    keys = [key + project for key in entity_keys(view.entity_columns[0].name, ids)]
    times, field, stamp = rows["event_timestamp"].to_pylist(), _mmh3(f"{view.name}:{feature}"), f"_ts:{view.name}"
    stamps = {time: _timestamp(time) for time in set(times)}
    headers = {size: bytes_header(size) for size in set(map(len, values))}
    held = pipelined(client, [("HGET", key, stamp) for key in keys])
    moments = {one: _nanoseconds(one) for one in {*held, *stamps.values()} if one}
    commands = [
        ("HSET", key, field, headers[len(value)] + value, stamp, stamps[time])
        for key, value, time, old in zip(keys, values, times, held, strict=True)
        if not old or moments[old] < moments[stamps[time]]
    ]
    pipelined(client, commands)


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
