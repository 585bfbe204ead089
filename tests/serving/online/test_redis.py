"""Rows written into a real Redis: the same bytes that Feast writes, and never an older value over a newer."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from feature_home import CREATED, space_manifest
from hypothesis import given
from hypothesis import strategies as st

from components.settings import Settings
from components.spaces.feature_store import apply_objects, open_store
from model.data.catalogue import TIME
from model.embedding.affine import Affine
from serving.feast_import import import_feast
from serving.online import write_newer
from serving.online.feast_bytes import bytes_header, entity_keys

AFFINE = Affine(scale=0.01, zero_point=0, bits=8, dim=200)


@pytest.fixture(scope="module")
def feast():
    import_feast()  # not by each worker that collects this file
    import feast.infra.key_encoding_utils

    return feast


@given(ids=st.lists(st.text(), max_size=5))
def test_keys_are_those_of_feast(feast, ids):
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    feasts = [
        serialize_entity_key(EntityKey(join_keys=["pin_id"], entity_values=[Value(string_val=i)]), 3) for i in ids
    ]
    assert entity_keys("pin_id", ids) == feasts


@given(value=st.binary(min_size=1, max_size=20_000))
def test_values_are_those_of_feast(feast, value):
    from feast.protos.feast.types.Value_pb2 import Value

    assert bytes_header(len(value)) + value == Value(bytes_val=value).SerializeToString()


@pytest.fixture
def store(redis, tmp_path):
    """A store with one space, its Redis empty."""
    settings = Settings(home=tmp_path / "home", redis=f"{redis.address},db=1")
    store = open_store(settings)
    from feature_repo.ranking_services import SpaceObjects  # after Feast

    space = SpaceObjects(space_manifest(settings.home / "feast", AFFINE))
    apply_objects(store, [*space.shared, *space.views])
    client(store).flushdb()
    return store


def client(store):
    return store.provider.online_store._get_client(store.config.online_store)


def rows(vectors, time=CREATED):
    times = pa.repeat(pa.scalar(time, TIME), len(vectors))
    columns = {"pin_id": list(vectors), "vector": pa.array(list(vectors.values()), pa.binary())}
    return pa.table(columns | {"event_timestamp": times, "created": times})


def held(store):
    return {key: client(store).hgetall(key) for key in client(store).scan_iter()}


def test_leaves_what_feast_leaves(store):
    table = rows({f"p{i}": bytes([i]) * 200 for i in range(9)}, CREATED + timedelta(microseconds=123))
    view = store.get_feature_view("pin_embedding_v1")
    write_newer(store, view, table)
    ours = held(store)
    client(store).flushdb()
    store.write_to_online_store("pin_embedding_v1", table.to_pandas())
    assert ours == held(store)
    assert len(ours) == 9


def test_leaves_what_feast_leaves_of_every_type(store):
    """Numbers, times and lists; among them values that are missing, and those that protobuf leaves out: 0, empty."""
    made = [CREATED, None, datetime(1969, 12, 31, tzinfo=UTC)]
    stats = {"saves": [0, 3, 2**40], "boards": [0, 1, 2], "created_at": pa.array(made, TIME)}
    weights = pa.array([[0.25, 0.75], [], [1.0]], pa.list_(pa.float32()))
    tastes = {"medoids": pa.array([b"ab", b"", b"c" * 600]), "weights": weights}
    for name, key, features in (("pin_stats", "pin_id", stats), ("user_taste_v1", "user_id", tastes)):
        times = pa.repeat(pa.scalar(CREATED, TIME), 3)
        table = pa.table({key: ["a", "b", "ü"], **features, "event_timestamp": times, "created": times})
        write_newer(store, store.get_feature_view(name), table)
        ours = held(store)
        client(store).flushdb()
        store.write_to_online_store(name, table.to_pandas())
        assert ours == held(store)
        assert len(ours) == 3
        client(store).flushdb()


def test_rows_of_1970_and_rows_that_expire(store):
    """The stamp of the first moment of 1970 is no bytes at all."""
    view, epoch = store.get_feature_view("pin_embedding_v1"), datetime(1970, 1, 1, tzinfo=UTC)
    for first, second, stays in ((CREATED, epoch, b"first"), (epoch, CREATED, b"second"), (epoch, epoch, b"first")):
        client(store).flushdb()
        write_newer(store, view, rows({"a": b"first"}, first))
        write_newer(store, view, rows({"a": b"second"}, second))
        assert store.get_online_features(["pin_embedding_v1:vector"], {"pin_id": ["a"]}).to_dict()["vector"] == [stays]
    store.config.online_store.key_ttl_seconds = 1_000
    write_newer(store, view, rows({"b": b"lives a while"}))
    lives = {key: client(store).ttl(key) for key in client(store).scan_iter()}
    assert sorted(lives.values())[0] == -1 and 900 < sorted(lives.values())[1] <= 1_000


def test_an_older_vector_does_not_replace_a_newer(store):
    view = store.get_feature_view("pin_embedding_v1")

    def served():
        answer = store.get_online_features(["pin_embedding_v1:vector"], {"pin_id": ["a", "b"]}).to_dict()
        return answer["vector"]

    write_newer(store, view, rows({"a": b"new"}))
    write_newer(store, view, rows({"a": b"old", "b": b"first"}, CREATED - timedelta(seconds=1)))
    assert served() == [b"new", b"first"]
    write_newer(store, view, rows({"a": b"other", "b": b"second"}))
    assert served() == [b"new", b"second"]
    write_newer(store, view, rows({"a": b"newest"}, CREATED + timedelta(microseconds=1)))
    assert served() == [b"newest", b"second"]
