"""An index on disk: mapped, whole or refused, replaced at once."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from indexed_pins import at

from model.errors import VectorIndexError
from model.files import write_json
from serving.index import PinIndex, storage

KINDS = ("exact", "hnsw", "ivf")


@pytest.mark.parametrize("kind", KINDS)
def test_opened_it_answers_as_before_and_is_memory_mapped(kind, built, vectors, tmp_path):
    index, folder = built(kind, effort=7), tmp_path / "index"
    index.delete(["p0"])
    index.save(folder)
    opened = PinIndex.open(folder, "v7")
    assert (len(opened), opened.space, opened.config, opened.affine) == (1999, "v7", index.config, index.affine)
    for a, b in zip(index.search(vectors[:50], 10), opened.search(vectors[:50], 10), strict=True):
        assert np.array_equal(a, b)
    mapped = Path("/proc/self/maps").read_text()
    for name in ("codes.faiss", "finder.faiss", "pins.arrow", "rows.npy"):
        assert str(next(folder.glob(f"*/{name}"))) in mapped


@pytest.mark.parametrize("kind", KINDS)
def test_who_has_it_open_keeps_it_when_it_is_replaced(kind, built, codes, vectors, tmp_path):
    folder = tmp_path / "index"
    built(kind).save(folder)
    reader = PinIndex.open(folder, "v7")
    before = reader.search(vectors[:20], 10)
    writer = PinIndex.open(folder, "v7")
    writer.upsert(["p0", "new"], codes[[5, 6]], at(1, 1))
    writer.delete([f"p{row}" for row in range(100, 900)])  # so many that it is built anew
    writer.save(folder)
    for a, b in zip(before, reader.search(vectors[:20], 10), strict=True):
        assert np.array_equal(a, b)
    after = PinIndex.open(folder, "v7")
    assert (len(reader), len(after)) == (2000, 1201)
    assert after.vectors(["new", "p100"])[1].tolist() == [False, True]
    assert sorted(path.name.split("-")[0] for path in folder.iterdir()) == ["manifest.json", "snapshot"]


def test_readers_find_a_whole_index_whenever_they_open_it(built, codes, tmp_path):
    folder, index = tmp_path / "index", built("hnsw", pins=50)
    index.save(folder)
    stop = Event()

    def read():
        seen = []
        while not stop.is_set():
            seen.append(len(PinIndex.open(folder, "v7")))
        return seen

    with ThreadPoolExecutor() as pool:
        reader = pool.submit(read)
        for turn in range(20):
            index.upsert([f"new{turn}"], codes[[turn]], at(turn))
            index.save(folder)
        stop.set()
        assert reader.result() == sorted(reader.result())
    assert len(PinIndex.open(folder, "v7")) == 70


@pytest.mark.parametrize("name", ["about.json", "manifest.json"])
def test_a_writer_that_dies_leaves_the_old_snapshot(name, built, codes, tmp_path, monkeypatch):
    folder, index = tmp_path / "index", built("ivf", pins=200)
    index.save(folder)
    index.upsert(["new"], codes[[5]], at(1))

    def die_at(path, value):
        if path.name == name:
            raise KeyboardInterrupt
        write_json(path, value)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(storage, "write_json", die_at)
        index.save(folder)
    assert len(PinIndex.open(folder, "v7")) == 200
    assert (len(index), index.unsaved) == (201, 1)  # nothing accepted is lost
    index.save(folder)
    assert len(PinIndex.open(folder, "v7")) == 201
    assert len(list(folder.iterdir())) == 2


def test_another_space_is_refused(built, tmp_path):
    built("exact", pins=5).save(tmp_path / "index")
    with pytest.raises(VectorIndexError, match=r"is of the space v7, not of v8, and vectors of two spaces never meet"):
        PinIndex.open(tmp_path / "index", "v8")


def test_no_index_is_one_sentence(tmp_path):
    with pytest.raises(VectorIndexError, match="There is no index in"):
        PinIndex.open(tmp_path / "nowhere", "v7")


@pytest.mark.parametrize("name", storage.FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_corrupt_file_is_one_sentence(kind, name, built, tmp_path):
    folder = tmp_path / "index"
    built(kind, pins=200).save(folder)
    file = next(folder.glob(f"*/{name}"))
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    for broken in (bytes(changed), whole[:-1], b""):
        file.write_bytes(broken)
        with pytest.raises(VectorIndexError, match=rf"{name} is corrupt; build the index anew"):
            PinIndex.open(folder, "v7")
    file.unlink()
    with pytest.raises(VectorIndexError, match=r"can't be read .*No such file.*; build the index anew"):
        PinIndex.open(folder, "v7")
    file.write_bytes(whole)
    assert len(PinIndex.open(folder, "v7")) == 200


def test_a_corrupt_manifest_is_one_sentence(built, tmp_path):
    folder = tmp_path / "index"
    built("exact", pins=5).save(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    wrong = ["", "{", "[]", "null", "{}", json.dumps({k: v for k, v in manifest.items() if k != "files"})]
    for text in [*wrong, json.dumps(manifest | {"files": 7})]:
        (folder / "manifest.json").write_text(text)
        with pytest.raises(VectorIndexError, match=r"manifest\.json is corrupt"):
            PinIndex.open(folder, "v7")
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 2}))
    with pytest.raises(VectorIndexError, match="has format 2, not 1; build it anew"):
        PinIndex.open(folder, "v7")
    (folder / "manifest.json").write_text(json.dumps(manifest | {"files": {}}))
    with pytest.raises(VectorIndexError, match="is corrupt"):
        PinIndex.open(folder, "v7")


def test_an_index_can_be_moved(built, tmp_path):
    built("hnsw", pins=5).save(tmp_path / "index")
    shutil.move(tmp_path / "index", tmp_path / "elsewhere")
    assert len(PinIndex.open(tmp_path / "elsewhere", "v7")) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]
