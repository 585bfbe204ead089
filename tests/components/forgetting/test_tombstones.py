"""Tombstones: written once, told by digest alone, heeded by whoever reads a catalogue, publishes or imports."""

import hashlib
import json

import pyarrow as pa
import pytest

from components.forgetting.imported import leave_out_forgotten
from components.forgetting.proof import Proof
from components.settings import Settings
from components.tombstones import bury, read_tombstones, source_catalogue, tombstones_file
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.forgotten import Forgotten, user_key
from model.errors import StoreError


@pytest.fixture
def home(tmp_path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def catalogue(tmp_path):
    with CatalogueWriter(tmp_path / "catalogue") as writer:
        writer.write(
            "pins", pa.table({"pin_id": ["a", "b", "c"], "image": [b"1", b"2", b"3"], "title": ["x", "y", "z"]})
        )
        writer.write("boards", pa.table({"board_id": ["m", "m"], "pin_id": ["a", "b"]}))
        writer.write("queries", pa.table({"query": ["q", "q"], "pin_id": ["b", "c"]}))
    return tmp_path / "catalogue"


def test_a_tombstone_is_a_digest_and_written_once(home):
    bury(["b"], home)
    times = read_tombstones(home).times
    assert bury(["b", "c", "c"], home).times.keys() > times.keys()
    lines = tombstones_file(home).read_text().splitlines()
    assert len(lines) == 3
    salt = json.loads(lines[0])["salt"]
    assert json.loads(lines[1])["digest"] == hashlib.sha256(f"{salt}b".encode()).hexdigest()
    assert '"b"' not in tombstones_file(home).read_text()


def test_nobody_is_forgotten_where_there_is_no_file(home):
    assert not read_tombstones(home)
    assert "b" not in read_tombstones(home)


def test_a_line_that_a_kill_has_cut_off_is_written_anew(home):
    bury(["a"], home)
    whole = tombstones_file(home).read_bytes()
    for cut in range(len(whole)):
        tombstones_file(home).write_bytes(whole[:cut])
        found = bury(["a", "b"], home)
        assert "a" in found and "b" in found and "c" not in found


def test_a_damaged_line_is_said_and_nothing_comes_back_silently(home):
    bury(["a"], home)
    file = tombstones_file(home)
    file.write_text(file.read_text() + "{nonsense\n")
    with pytest.raises(StoreError, match=r"Line 3 of .*forgotten\.jsonl is damaged"):
        Forgotten.read(file)


def test_a_damaged_proof_is_one_sentence(home):
    Proof.open(["d1"], home).write()
    (file,) = (home.home / "forgotten").glob("*.json")
    assert Proof.open(["d1"], home).file == file  # it is not complete
    file.write_text("{torn")
    with pytest.raises(StoreError, match="is damaged"):
        Proof.open(["d2"], home)


def test_a_lifted_tombstone_lets_the_pin_come_back(home, catalogue):
    bury(["b", "c"], home)
    bury(["b"], home, lifted=True)
    assert source_catalogue(catalogue, home).read("pins", ["pin_id"])["pin_id"].to_pylist() == ["a", "b"]


def test_an_old_catalogue_is_read_without_its_forgotten_pins(home, catalogue):
    bury(["b"], home)
    source = source_catalogue(catalogue, home)
    assert source.read("pins", ["title"])["title"].to_pylist() == ["x", "z"]
    assert source.read("boards", ["board_id", "pin_id"]).to_pylist() == [{"board_id": "m", "pin_id": "a"}]
    assert source.read("queries", ["query"])["query"].to_pylist() == ["q"]


def test_an_import_of_the_old_tables_leaves_them_out(home, catalogue):
    assert leave_out_forgotten(catalogue, home) == 0
    bury(["b"], home)
    assert leave_out_forgotten(catalogue, home) == 1
    left = Catalogue(catalogue)
    assert left.read("pins", ["pin_id"])["pin_id"].to_pylist() == ["a", "c"]
    assert left.read("queries", ["pin_id"])["pin_id"].to_pylist() == ["c"]


def test_a_user_is_no_pin_of_the_same_id_and_is_left_out_of_an_import(home, catalogue):
    with CatalogueWriter(catalogue) as writer:
        writer.write("pins", pa.table({"pin_id": ["a", "ann"], "image": [b"1", b"2"]}))
        boards = {
            "board_id": ["m", "m", "n"],
            "pin_id": ["a", "ann", "a"],
            "title": ["Ann's attic", "Ann's attic", "x"],
        }
        writer.write("boards", pa.table(boards | {"user_id": ["ann", "ann", "bob"]}))
        writer.write("queries", pa.table({"query": ["Ann's attic", "x"], "pin_id": ["a", "a"], "clicks": [1, 1]}))
        writer.write("preferences", pa.table({"user_id": ["ann", "bob"], "pin_id": ["a", "a"]}))
        writer.write("users", pa.table({"user_id": ["ann", "bob"]}))
    found = bury([user_key("ann")], home)
    assert "ann" not in found
    assert source_catalogue(catalogue, home).read("boards", ["board_id"])["board_id"].to_pylist() == ["n"]
    assert leave_out_forgotten(catalogue, home) == 1
    left = Catalogue(catalogue)
    assert left.read("pins", ["pin_id"])["pin_id"].to_pylist() == ["a", "ann"]
    assert {table: left.count(table) for table in ("boards", "queries", "preferences", "users")} == {
        **dict.fromkeys(("boards", "queries", "preferences", "users"), 1)
    }
    bury([user_key("ann")], home, lifted=True)
    assert leave_out_forgotten(catalogue, home) == 0


def test_a_proof_is_taken_up_for_the_same_users_alone(home):
    Proof.open(["d1"], home, ["u1"]).write()
    (file,) = (home.home / "forgotten").glob("*.json")
    assert Proof.open(["d1"], home, ["u1"]).file == file
    assert Proof.open(["d1"], home).file != file
    other = Proof.open([], home, ["u1"])
    other.note_origin(["c"], [3])
    other.write()
    assert Proof.open([], home, ["u1", "u2"]).versions == [3]
