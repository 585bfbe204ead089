"""Folders on disk: links, what killed processes left, files that cannot be read."""

import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.forgetting.folders import Folders
from components.forgetting.pins import Pins, described
from components.forgetting.tree import look_into
from components.forgetting.working import Working
from components.settings import Settings
from model.data.catalogue import Catalogue, CatalogueWriter
from model.files import process_namespace

PINS = Pins(("p1",))
IDS = ["p1", "p2"]


@pytest.fixture
def runs(tmp_path):
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def written(file, ids=IDS):
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"pin_id": ids}), file)
    return file


def found(folder) -> dict[str, int]:
    """What an erasure finds, and that nothing is there afterwards."""
    place = Folders("runs", [folder])
    counts = {str(path): n for path, n in place.erase(PINS).items() if n}
    assert not any(place.find(PINS).values())
    return counts


def test_in_the_place_of_a_link_to_a_file_comes_a_file_without_the_pin(runs, tmp_path):
    cached = written(tmp_path / "cache/ab/cdef")
    cached.chmod(0o444)  # as DVC has it
    (runs / "vectors.parquet").symlink_to(cached)
    assert list(found(runs).values()) == [1]
    assert not (runs / "vectors.parquet").is_symlink()
    assert pq.read_table(runs / "vectors.parquet")["pin_id"].to_pylist() == ["p2"]
    assert pq.read_table(cached)["pin_id"].to_pylist() == IDS  # its owner's


def test_a_linked_folder_is_looked_through_once(runs, tmp_path):
    written(tmp_path / "elsewhere/00000.parquet")
    written(runs / "1/vectors.parquet")
    (runs / "catalogue").symlink_to(tmp_path / "elsewhere")
    (runs / "latest").symlink_to("1")
    (tmp_path / "elsewhere/around").symlink_to(runs)
    assert sorted(found(runs).values()) == [1, 1]
    assert pq.read_table(tmp_path / "elsewhere/00000.parquet")["pin_id"].to_pylist() == ["p2"]


@pytest.mark.skipif(not process_namespace(), reason="the system does not say which processes share their numbers")
def test_what_a_killed_process_was_writing_goes_and_what_a_live_one_writes_stays(runs, tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    torn = runs / f".vectors.parquet.{process_namespace()}{dead.pid}.partial"
    torn.write_bytes(b"PAR1 torn")
    alive = written(runs / f".vectors.parquet.{process_namespace()}{os.getpid()}.partial", ["p2"])
    assert found(runs) == {str(torn): 1}
    assert alive.is_file() and not torn.exists()

    catalogue = tmp_path / "catalogues/mine"
    left = catalogue.with_name(f".mine.{process_namespace()}{dead.pid}.partial")
    (left / "pins").mkdir(parents=True)
    (left / "pins/00000.parquet").write_bytes(b"PAR1 torn")
    place = Working(Settings(home=tmp_path / "home"), [], [catalogue])
    assert place.erase(PINS)[str(left)] == 1
    assert not left.exists()


@pytest.mark.parametrize("data", [b"PAR1 torn", b"\x1f\x8b\x08\x00torn"])
def test_of_a_damaged_file_nobody_can_tell_so_it_counts_and_stays(runs, data):
    (runs / "vectors").write_bytes(data)
    written(runs / "whole.parquet")
    place = Folders("runs", [runs])
    assert sum(place.erase(PINS).values()) == 2
    assert place.find(PINS)[str(runs / "vectors")] == 1
    assert place.find(PINS)[str(runs / "whole.parquet")] == 0


def test_after_a_kill_within_a_catalogue_its_boards_still_tell_a_users_titles(tmp_path):
    with CatalogueWriter(tmp_path / "catalogue") as writer:
        writer.write("pins", pa.table({"pin_id": ["p1"], "image": [b"-"]}))
        boards = {"board_id": ["b"], "pin_id": ["p1"], "title": ["Ann's attic"], "user_id": ["ann"]}
        writer.write("boards", pa.table(boards))
        writer.write("queries", pa.table({"query": ["Ann's attic"], "pin_id": ["p1"], "clicks": [1]}))
    catalogue = tmp_path / "catalogue"
    for file, _ in look_into(catalogue, described([], [catalogue], ["ann"]), erase=True):
        left = Catalogue(catalogue)
        assert not left.count("queries") or described([], [catalogue], ["ann"]).titles, file
    assert (left.count("boards"), left.count("queries")) == (0, 0)


def test_a_working_copy_that_cannot_be_read_goes_whole(runs, tmp_path):
    (runs / ".work/killed").mkdir(parents=True)
    (runs / ".work/killed/pins.parquet").write_bytes(b"PAR1 torn")
    Working(Settings(home=tmp_path / "home"), [runs]).erase(PINS)
    assert not (runs / ".work/killed").exists()
