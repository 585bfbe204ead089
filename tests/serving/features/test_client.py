"""The client, against Feast's own reading of the same store, on SQLite and on a real Redis."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from feature_home import CREATED, DIM, quantized, redis_server

from components.spaces.feature_store import open_store
from components.spaces.retire import retire
from model.embedding.affine import Affine
from model.errors import StoreError
from serving import online
from serving.features import Features
from serving.online import redis as online_redis

AFFINE = Affine(scale=0.0078125, zero_point=3, bits=8, dim=DIM)
DOCS = Path(__file__).parents[3] / "docs" / "features.md"


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def home(request, features_home, tmp_path_factory):
    address = request.getfixturevalue("redis").address if request.param == "redis" else ""
    home = features_home.beside(tmp_path_factory.mktemp(request.param), address)
    home.serving, home.serving_vectors = home.new_space(seed=2)
    home.other, home.other_vectors = home.new_space(seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PINCLIP_REDIS", address)
        yield home


@pytest.fixture
def features(home):
    return Features.of(home.configuration)


def expected(stored):
    return AFFINE.vectors(np.frombuffer(b"".join(stored), np.int8).reshape(-1, DIM))


def test_every_vector_of_each_space_in_the_order_asked(home, features):
    for space, stored in ((home.other, home.other_vectors), (home.serving, home.serving_vectors)):
        ids = list(stored)[::-1]
        vectors, missing = features.pin_vectors(ids, space)
        assert vectors.dtype == np.float32
        assert not missing.any()
        assert np.array_equal(vectors, expected([stored[pin] for pin in ids]))
        answer = features.store.get_online_features([f"pin_embedding_{space}:vector"], {"pin_id": ids}).to_dict()
        assert np.array_equal(vectors, expected(answer["vector"]))
    assert features.serving_space() == home.serving


def test_any_other_store_of_feast_answers_the_same(home, features, monkeypatch):
    ids = [*home.serving_vectors, "who", "p1"]
    vectors, missing = features.pin_vectors(ids, home.serving)
    monkeypatch.setattr(online, "MODULES", {})
    assert all(map(np.array_equal, features.pin_vectors(ids, home.serving), (vectors, missing)))
    monkeypatch.setattr(features.store.provider.online_store, "online_read", lambda *asked: [][1])
    with pytest.raises(StoreError, match="The online store does not answer"):
        features.pin_vectors(ids, home.serving)


def test_an_unknown_id_is_missing_and_one_asked_twice_is_answered_twice(home, features):
    vectors, missing = features.pin_vectors(["p1", "who", "p1", ""], home.serving)
    assert missing.tolist() == [False, True, False, True]
    assert np.array_equal(vectors[[0, 2]], expected([home.serving_vectors["p1"]] * 2))
    assert not vectors[missing].any()
    vectors, missing = features.pin_vectors(["who"], home.serving)
    assert (vectors.shape, missing.tolist()) == ((1, DIM), [True])
    vectors, missing = features.pin_vectors([], home.serving)
    assert (vectors.shape, missing.shape) == ((0, DIM), (0,))


def test_more_ids_than_one_request_takes(home, features, monkeypatch):
    monkeypatch.setattr("serving.features.client.AT_ONCE", 7)
    vectors, _ = features.pin_vectors(list(home.other_vectors), home.other)
    assert np.array_equal(vectors, expected(home.other_vectors.values()))


def test_a_pin_that_is_only_in_statistics_has_no_vector(home, features):
    """It was never embedded: a key of its own in the store, with no vector of any space."""
    now = [CREATED]
    row = {"pin_id": ["p900"], "saves": [1], "boards": [1], "created_at": now, "event_timestamp": now, "created": now}
    open_store(home.settings).push("pin_stats_push", pd.DataFrame(row))
    assert features.pin_vectors(["p900", "p1"], home.serving)[1].tolist() == [True, False]


def test_a_vector_pushed_between_publications_is_read_at_once(home, features):
    now = [pd.Timestamp.now(tz="UTC")]
    row = {"pin_id": ["fresh"], "vector": [home.serving_vectors["p9"]], "event_timestamp": now, "created": now}
    open_store(home.settings).push(f"pin_embedding_{home.serving}_push", pd.DataFrame(row))
    assert np.array_equal(features.pin_vectors(["fresh"], home.serving)[0], expected([home.serving_vectors["p9"]]))
    assert features.pin_vectors(["fresh"], home.other)[1].tolist() == [True]


def test_a_malformed_value_is_missing_and_counted_and_the_others_are_read(home, features):
    now = [pd.Timestamp.now(tz="UTC")] * 2
    row = {"pin_id": ["long", "empty"], "vector": [bytes(DIM + 1), b""], "event_timestamp": now, "created": now}
    open_store(home.settings).push(f"pin_embedding_{home.serving}_push", pd.DataFrame(row))
    vectors, missing = features.pin_vectors(["p1", "long", "who", "empty", "p2"], home.serving)
    assert missing.tolist() == [False, True, True, True, False]
    assert np.array_equal(vectors[[0, 4]], expected([home.serving_vectors["p1"], home.serving_vectors["p2"]]))
    assert features.malformed in (1, 2)  # a store may keep no value for no bytes
    assert features.pin_vectors(["long"], home.serving)[1].all()


def test_a_space_that_was_never_published_is_an_error(home, features):
    with pytest.raises(
        StoreError, match=f"v99 is retired or was never published; published are: {home.serving}, {home.other}"
    ):
        features.pin_vectors(["p1"], "v99")


def test_a_space_is_not_read_before_it_is_complete(home, features):
    registration = home.registered()
    folder, _ = quantized(home.root / "unfinished", seed=3)

    def die(fraction, message):
        if message == "vectors in the online store":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        home.publish(folder, registration, die)
    features.store.refresh_registry()
    with pytest.raises(StoreError, match="retired or was never published"):
        features.pin_vectors(["p1"], registration.space)
    assert features.serving_space() == home.serving


def test_two_codes_in_a_byte(home, features):
    space, stored = home.new_space(seed=4, bits=4, pins=20)
    affine = Affine(scale=0.0078125, zero_point=3, bits=4, dim=DIM)
    packed = np.frombuffer(b"".join(stored.values()), np.uint8).reshape(20, DIM // 2)
    features.store.refresh_registry()
    assert np.array_equal(features.pin_vectors(list(stored), space)[0], affine.vectors(affine.unpack(packed)))


def test_a_retired_space_is_an_error_even_where_the_registry_is_cached(home, features):
    assert not features.pin_vectors(["p1"], home.other)[1].any()
    retire(home.other, home.settings, even_rollback=True)
    with pytest.raises(StoreError, match=f"The space {home.other} is retired"):
        features.pin_vectors(["p1", "p2"], home.other)


def test_no_store_is_one_sentence(tmp_path):
    with pytest.raises(StoreError, match="There is no feature store at"):
        Features.of(tmp_path / "feature_store.yaml")


def test_redis_that_goes_away_breaks_no_promise(features_home, tmp_path, monkeypatch):
    """It stops when half of a space is written: nothing switches, and the next run finishes."""
    with redis_server(tmp_path / "redis") as server:
        monkeypatch.setenv("PINCLIP_REDIS", server.address)
        home = features_home.beside(tmp_path, server.address)
        space, stored = home.new_space(seed=1)
        features, whole = Features.of(home.configuration), online_redis.write_newer
        registration, (folder, vectors) = home.registered(), quantized(tmp_path / "next", seed=2)

        def half(store, *arguments):
            whole(store, *arguments)
            server.stop()  # after the first of the two shards

        monkeypatch.setattr(online_redis, "write_newer", half)
        with pytest.raises(StoreError, match="Redis does not answer"):
            home.publish(folder, registration)
        with pytest.raises(StoreError, match="The online store does not answer"):
            features.pin_vectors(["p1"], space)
        monkeypatch.setattr(online_redis, "write_newer", whole)
        server.start()
        assert np.array_equal(features.pin_vectors(list(stored), space)[0], expected(stored.values()))
        assert features.serving_space() == space
        with pytest.raises(StoreError, match="retired or was never published"):
            features.pin_vectors(["p1"], registration.space)
        home.publish(folder, registration)
        features.store.refresh_registry()
        assert np.array_equal(features.pin_vectors(list(vectors), registration.space)[0], expected(vectors.values()))
        assert server.address not in home.configuration.read_text()  # nor a password


def test_the_page_for_ranking_teams_runs(features_home, tmp_path, monkeypatch):
    """Its Python blocks, one after the other, in a process that finds nothing but a home; no model is in that one."""
    home = features_home.beside(tmp_path)
    home.new_space(seed=1)
    parts = [part for part in DOCS.read_text().split("```python\n")[1:] if "load_model" not in part]
    code = "\n".join(textwrap.dedent(part.split("```")[0]) for part in parts)
    assert ".pinclip" in code
    code = code.replace(".pinclip", str(home.settings.home))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=os.environ, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
