"""A batch through encoder, index, online store and journal, on a real Feast home; no web, no Ray."""

import dataclasses
import os
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
import served_pins
from accepted_pins import NOW, online, opened, pin, raised, refusing
from served_pins import IDS, TITLES, drawn

from components.settings import Settings
from components.tombstones import bury
from model.config import PrepareConfig
from model.data.images.decoding import to_pixels
from model.errors import ModelError, ServerAway, StoreError
from serving.service.served_spaces import each_alone
from serving.service.space import NewPin, PinSpace
from serving.space import SpaceManifest


def test_accepted_is_readable_and_found(files):
    space = opened(files)
    answers = space.accept([pin("new-1"), pin("new-2", picture=None), pin("new-3", title="")])
    assert [answer.stored for answer in answers] == [True] * 3
    vectors, missing = online(files, ["new-1", "new-2", "new-3", "never"])
    assert missing.tolist() == [False, False, False, True]
    np.testing.assert_array_equal(vectors[:3], [answer.vector_E for answer in answers])
    ids, cosines = space.index.search(vectors[:1], k=1)
    assert ids[0, 0] == "new-1"
    assert cosines[0, 0] == pytest.approx(1, abs=1e-5)


def test_the_vector_is_that_of_the_model(files):
    expected = served_pins.Embedder(files.model_folder).pins([drawn(7)], [{"title": TITLES[7]}])[0]
    answer = opened(files).accept(
        [NewPin("same", to_pixels(drawn(7), 32, PrepareConfig()), {"title": TITLES[7]}, NOW)]
    )[0]
    assert answer.vector_E @ expected > 0.999  # what rounding to int8 leaves


def test_an_older_push_overwrites_nothing(files):
    space = opened(files)
    newer = space.accept([pin("p", seconds=10, title="teal")])[0]
    older = space.accept([pin("p", seconds=5, title="moss square", picture=4)])[0]
    assert newer.stored and not older.stored
    assert np.array_equal(online(files, ["p"])[0][0], newer.vector_E)
    assert np.array_equal(space.index.vectors(["p"])[0][0], newer.vector_E)


def test_of_a_pin_twice_in_a_batch_the_latest_is_stored(files):
    space = opened(files)
    answers = space.accept([pin("p", 9, "teal"), pin("p", 3, "moss"), pin("q", 1)])
    assert [answer.stored for answer in answers] == [True, False, True]
    assert np.array_equal(online(files, ["p"])[0][0], answers[0].vector_E)


def test_a_killed_service_finds_what_it_accepted(files):
    accepted = opened(files).accept([pin("before the kill")])[0]  # and nothing is closed or saved
    vectors, missing = opened(files).index.vectors(["before the kill"])
    assert not missing[0]
    assert np.array_equal(vectors[0], accepted.vector_E)


def test_a_snapshot_takes_the_journal_into_the_shards(files):
    space = opened(files)
    space.accept([pin("saved")])
    space.save()
    space.save()  # nothing has changed since
    shards = pq.read_table(files.feast_home / "offline" / f"pin_embedding_{files.name}")
    assert shards["pin_id"].to_pylist().count("saved") == 1
    assert shards.num_rows == len(IDS) + 1
    assert not opened(files).index.vectors(["saved"])[1][0]
    shutil.rmtree(files.state / "index")
    assert not opened(files).index.vectors(["saved"])[1][0]


def test_what_the_online_store_refused_can_be_sent_again(files, monkeypatch):
    space = opened(files)
    with monkeypatch.context() as broken, pytest.raises(StoreError, match="does not answer"):
        broken.setattr(space.online.store.provider, "online_write_batch", refusing(space.online.store))
        space.accept([pin("p")])
    assert online(files, ["p"])[1][0]
    assert space.accept([pin("p")])[0].stored
    assert not online(files, ["p"])[1][0]


def test_an_online_store_that_is_away_is_told_soon(files, monkeypatch):
    space = opened(files)
    store, slept = space.online.store, []
    if store.config.online_store.type != "redis":
        return  # a file is never away
    client = store.provider.online_store._get_client(store.config.online_store)
    client.connection_pool.disconnect()
    client.get_connection_kwargs()["port"] = 1
    monkeypatch.setattr("redis.retry.sleep", slept.append)
    with pytest.raises(ServerAway, match="The online store does not answer"):
        space.accept([pin("p")])
    assert sum(slept) < 1
    waits = [client.get_connection_kwargs()[name] for name in ("socket_connect_timeout", "socket_timeout")]
    assert max(waits) <= 5


@pytest.mark.parametrize("fails", ["room", "push", "lines", "index"])
def test_what_is_refused_is_nowhere_whatever_fails(files, monkeypatch, fails):
    space = opened(files)
    before = space.accept([pin("p", title="teal")])[0]
    with monkeypatch.context() as broken, pytest.raises((StoreError, MemoryError)):
        break_at(fails, space, broken)
        space.accept([pin("p", seconds=9, title="moss square", picture=4), pin("new", seconds=9)])
    for there in (space, opened(files)):  # in memory, and what a restart or another service reads
        vectors, missing = there.index.vectors(["p", "new"])
        assert missing.tolist() == [False, True]
        assert np.array_equal(vectors[0], before.vector_E)
    vectors, missing = online(files, ["p", "new"])
    assert missing.tolist() == [False, True]
    assert np.array_equal(vectors[0], before.vector_E)
    assert all(answer.stored for answer in space.accept([pin("p", seconds=9), pin("new", seconds=9)]))
    assert not opened(files).index.vectors(["p", "new"])[1].any()
    assert not online(files, ["p", "new"])[1].any()


def break_at(point: str, space: PinSpace, broken: pytest.MonkeyPatch) -> None:
    writes = iter([None] if point == "lines" else [])

    def full(file, data, at):
        if next(writes, "full") == "full":
            raise OSError(28, "No space left on device")
        return os_pwrite(file, data, at)

    def no_memory(*_):
        raise MemoryError

    os_pwrite = os.pwrite
    if point in ("room", "lines"):
        broken.setattr(os, "pwrite", full)
    elif point == "push":
        pushed = space.online.push
        refuse = refusing(space.online.store)
        broken.setattr(space.online, "push", lambda *rows: (pushed(*rows), raised(refuse)))
    else:
        broken.setattr(space.index, "upsert", no_memory)


def test_one_pin_that_fails_fails_alone(files, monkeypatch):
    space = opened(files)
    encode = space.encoder.pins

    def nan_for_one(pixels, has_image, texts):
        vectors = encode(pixels, has_image, texts)
        vectors[[text.get("title") == "bad" for text in texts]] = np.nan
        return vectors

    monkeypatch.setattr(space.encoder, "pins", nan_for_one)
    answers = each_alone(space, [pin("a"), pin("b", title="bad"), pin("c")])
    assert [type(answer).__name__ for answer in answers] == ["Accepted", "ModelError", "Accepted"]
    assert space.index.vectors(["a", "b", "c"])[1].tolist() == [False, True, False]


def test_a_model_that_gives_nan_stores_nothing(files, monkeypatch):
    space = opened(files)
    monkeypatch.setattr(space.encoder, "pins", lambda *_: np.full((1, 32), np.nan, dtype=np.float32))
    with pytest.raises(ModelError, match="gives no vectors of this space"):
        space.accept([pin("p")])
    assert space.index.vectors(["p"])[1][0]


def test_a_space_that_was_not_published_is_said(files):
    with pytest.raises(StoreError, match="not published"):
        opened(dataclasses.replace(files, name="v99", state=files.state / "other"))


def test_a_tombstone_takes_a_pin_out_of_the_running_service_and_no_push_brings_it_back(files):
    space = opened(files)
    space.accept([pin("gone-1"), pin("stays-1", title="a teal square")])
    stays = space.index.vectors(["stays-1", IDS[3]])
    settings = Settings(home=files.feast_home.parent)
    bury(["gone-1", IDS[2]], settings)
    space.follow()
    assert space.index.vectors(["gone-1", IDS[2]])[1].all()
    assert [answer.stored for answer in space.accept([pin("gone-1", seconds=5), pin("new-1")])] == [False, True]
    kept = [path.read_bytes() for path in files.state.rglob("*") if path.is_file() and "encoder" not in path.parts]
    assert not any(b"gone-1" in data for data in kept)
    assert "gone-1" not in SpaceManifest.read(files.feast_home, files.name).ids().to_pylist()
    again = opened(files)
    assert again.index.vectors(["gone-1", IDS[2]])[1].all()
    for one in (space, again):
        assert all(np.array_equal(*pair) for pair in zip(one.index.vectors(["stays-1", IDS[3]]), stays, strict=True))
