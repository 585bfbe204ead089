"""Pins come, change and go: the index against a dictionary, and readers against writers."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from indexed_pins import AFFINE, DIM, at

from model.errors import VectorIndexError
from serving.index import PinIndex, storage

IDS = [f"p{row}" for row in range(6)] + ["new", "ñ", "🍵"]
ENTRIES = st.lists(st.tuples(st.sampled_from(IDS), st.integers(0, 99), st.integers(0, 5)), max_size=4)
WRITES = st.tuples(st.sampled_from(["upsert", "upsert", "delete", "save", "open"]), ENTRIES)


class Naive:
    """id -> (time, row of the codes or None where it was deleted), one entry after the other."""

    def __init__(self, pins: int) -> None:
        self.stored = {f"p{row}": (0, row) for row in range(pins)}

    def write(self, entries, deleting):
        """The ids left as they were."""
        newest = {}
        for pin_id, row, time in entries:
            if pin_id not in newest or time >= newest[pin_id][0]:
                newest[pin_id] = (time, None if deleting else row)
        left = []
        for pin_id, (time, row) in newest.items():
            before = self.stored.get(pin_id)
            if before and before[0] > time:
                left.append(pin_id)
                continue
            if deleting and (before is None or before[1] is None):
                left.append(pin_id)
            self.stored[pin_id] = (time, row)
        return left

    def living(self):
        return {pin_id: row for pin_id, (_, row) in self.stored.items() if row is not None}


@pytest.mark.parametrize("kind", ["exact", "ivf", "hnsw"])
@settings(max_examples=25)
@given(st.lists(WRITES, max_size=8), st.sampled_from([0.05, 1.0]))
def test_after_any_writes_it_is_a_dictionary(kind, tmp_path_factory, codes, built, writes, rebuild_share):
    index, naive = built(kind, pins=6, rebuild_share=rebuild_share), Naive(6)
    folder = tmp_path_factory.mktemp("index")
    for what, entries in writes:
        ids, rows, times = ([entry[i] for entry in entries] for i in range(3))
        if what == "upsert":
            assert index.upsert(ids, codes[rows], at(*times)) == naive.write(entries, deleting=False)
        elif what == "delete":
            assert index.delete(ids, at(*times)) == naive.write(entries, deleting=True)
        else:
            index.save(folder)
            assert index.unsaved == 0
            index = index if what == "save" else PinIndex.open(folder, "v7")
        same(index, naive, codes)


def same(index, naive, codes):
    living = naive.living()
    assert len(index) == len(living)
    ids, scores = index.search(AFFINE.vectors(codes[50:51]), len(IDS))
    cosines = {i: (AFFINE.vectors(codes[[row]]) @ AFFINE.vectors(codes[50:51]).T).item() for i, row in living.items()}
    found = {pin_id: score for pin_id, score in zip(ids[0], scores[0], strict=True) if pin_id is not None}
    assert found == pytest.approx(cosines, abs=1e-6)
    assert scores[0, : len(living)].tolist() == sorted(found.values(), reverse=True)
    vectors, missing = index.vectors(IDS)
    assert missing.tolist() == [pin_id not in living for pin_id in IDS]
    assert np.allclose(vectors[~missing], AFFINE.vectors(codes[[living[i] for i in IDS if i in living]]))


def test_a_push_older_than_what_is_stored_changes_nothing(built, codes):
    index = built("hnsw", pins=10)
    assert index.upsert(["p1"], codes[[20]], at(100)) == []
    assert index.upsert(["p1", "p2"], codes[[30, 31]], at(99, 99)) == ["p1"]
    assert np.allclose(index.vectors(["p1", "p2"])[0], AFFINE.vectors(codes[[20, 31]]))
    assert index.delete(["p1"], at(99)) == ["p1"]
    assert len(index) == 10
    assert index.upsert(["p1"], codes[[40]], at(100)) == []  # the same time: a push that is sent again


def test_a_deleted_pin_does_not_come_back_by_an_older_push(built, codes, tmp_path):
    index = built("hnsw", pins=10)
    index.delete(["p1"], at(100))
    index.save(tmp_path / "index")
    index = PinIndex.open(tmp_path / "index", "v7")
    assert index.upsert(["p1"], codes[[1]], at(99)) == ["p1"]
    assert index.delete(["p1", "unknown"]) == ["p1", "unknown"]
    assert len(index) == 9
    assert index.upsert(["p1"], codes[[1]], [datetime.now(UTC) + timedelta(seconds=1)]) == []
    assert len(index) == 10


def test_event_times_are_moments_in_any_zone(built, codes):
    index, noon = built("exact", pins=3), datetime(2026, 11, 21, 12, tzinfo=UTC)
    index.upsert(["p1"], codes[[10]], [noon])
    earlier = noon.astimezone(timezone(timedelta(hours=9))) - timedelta(minutes=1)  # 20:59 there
    assert index.upsert(["p1"], codes[[11]], [earlier]) == ["p1"]
    assert index.upsert(["p1"], codes[[11]], np.array([noon.replace(tzinfo=None)], dtype="datetime64[s]")) == []


@pytest.mark.parametrize(
    ("ids", "wrong", "times", "sentence"),
    [
        (["a"], np.zeros((1, DIM - 1), np.int8), at(1), r"1 ids came with codes of shape \(1, 31\)"),
        (["a"], np.zeros((2, DIM), np.int8), at(1), r"1 ids came with codes of shape \(2, 32\)"),
        (["a"], np.full((1, DIM), np.nan, np.float32), at(1), "The codes are float32; quantize"),
        (["a"], np.zeros((1, DIM), np.int8), at(1, 2), "1 ids came with 2 event times"),
        (["a"], np.zeros((1, DIM), np.int8), [None], "1 ids came with 0 event times"),
        (["a"], np.zeros((1, DIM), np.int8), ["soon"], "event times can't be read"),
        (["b", ""], np.zeros((2, DIM), np.int8), at(1, 1), "Id 1 is ''"),
        (["b", 7], np.zeros((2, DIM), np.int8), at(1, 1), "Id 1 is 7"),
    ],
)
def test_bad_input_stores_nothing(ids, wrong, times, sentence, built):
    index = built("exact", pins=3)
    with pytest.raises(VectorIndexError, match=sentence):
        index.upsert(ids, wrong, times)
    assert (len(index), index.unsaved) == (3, 0)


def test_a_side_table_that_outgrows_its_room(built, codes, vectors):
    index = built("exact", pins=10)
    for start in range(10, 410, 40):
        index.upsert([f"p{row}" for row in range(start, start + 40)], codes[start : start + 40], at(*[1] * 40))
    assert index.search(vectors[:410], 1)[0][:, 0].tolist() == [f"p{row}" for row in range(410)]


@pytest.mark.parametrize("kind", ["exact", "hnsw", "ivf"])
def test_readers_never_see_a_pin_twice_or_half(kind, built, codes, vectors):
    """A writer moves one Pin between two places, and others in and out; every answer is of one moment."""
    index, stop = built(kind, pins=300), Event()
    index.upsert(["p0"], codes[[0]], at(1))
    allowed = AFFINE.vectors(codes[[0, 1]]) @ vectors[0]

    def read():
        while not stop.is_set():
            ids, scores = index.search(vectors[:1], 320)
            found = [pin_id for pin_id in ids[0] if pin_id is not None]
            assert len(set(found)) == len(found)
            assert np.abs(allowed - scores[0, found.index("p0")]).min() < 1e-5

    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read) for _ in range(2)]
        for turn in range(2, 60):
            index.upsert(["p0", f"new{turn}"], codes[[turn % 2, turn]], at(turn, turn))
            index.delete([f"new{turn - 1}"])
        stop.set()
        assert [reader.result() for reader in readers] == [None, None]


def test_what_is_written_while_it_is_saved_is_kept(built, codes, tmp_path, monkeypatch):
    index, write = built("hnsw", pins=50), storage.write
    index.upsert(["p1", "p2"], codes[[60, 61]], at(5, 5))

    def busy(*arguments):
        index.upsert(["p1", "late"], codes[[70, 71]], at(6, 6))
        index.delete(["p3"])
        write(*arguments)

    monkeypatch.setattr(storage, "write", busy)
    index.save(tmp_path / "index")
    assert (len(index), index.unsaved) == (50, 2)
    assert np.allclose(index.vectors(["p1", "p2", "late"])[0], AFFINE.vectors(codes[[70, 61, 71]]))
    saved = PinIndex.open(tmp_path / "index", "v7")
    assert saved.vectors(["p1", "late", "p3"])[1].tolist() == [False, True, False]
    assert np.allclose(saved.vectors(["p1"])[0], AFFINE.vectors(codes[[60]]))
    monkeypatch.setattr(storage, "write", write)
    index.save(tmp_path / "index")
    assert PinIndex.open(tmp_path / "index", "v7").vectors(["p1", "late", "p3"])[1].tolist() == [False, False, True]


def test_dead_rows_are_dropped_when_they_are_many(built, codes, tmp_path):
    index = built("hnsw", pins=100, rebuild_share=0.3)
    folder = tmp_path / "index"

    def codes_bytes():
        index.save(folder)
        return next(folder.rglob("codes.faiss")).stat().st_size

    whole = codes_bytes()
    index.delete([f"p{row}" for row in range(20)])
    assert codes_bytes() == whole
    index.delete([f"p{row}" for row in range(20, 40)])
    assert whole - codes_bytes() == 40 * DIM
    assert len(index) == 60
