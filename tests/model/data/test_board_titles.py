"""Titles of boards that are queries: whose they are, and what is left when users may not be used."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data.board_titles import OwnTitles, titles_of
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.forgotten import Forgotten, user_key

BOARDS = [
    ("b1", "a", "Ann's attic", "ann"),
    ("b2", "b", "Ann's attic", "ann"),  # her other board
    ("b3", "a", "hats", "ann"),
    ("b4", "a", "hats", "bob"),
    ("b5", "a", "searched", "bob"),
    ("b6", "a", "a word of a Pin", "bob"),
    ("b7", "a", "no query", "bob"),
    ("b8", "b", "secret", "eve"),
    ("b9", "b", "open", None),
    ("b0", "b", None, "bob"),
]
QUERIES = [("Ann's attic", "a", 1), ("Ann's attic", "b", None), ("hats", "a", 2), ("searched", "a", 1)]
QUERIES += [("searched", "b", 1), ("a word of a Pin", "a", 1), ("secret", "b", 1), ("open", "b", 1)]


def source(folder, boards=BOARDS, listed=("ann", "bob")):
    """eve is not in the list of users; cat's consent was not given."""
    with CatalogueWriter(folder / "catalogue") as writer:
        writer.write("pins", pa.table({"pin_id": ["a", "b"], "image": [b"-"] * 2, "title": ["a word of a Pin", "x"]}))
        names = ("board_id", "pin_id", "title", "user_id")
        writer.write("boards", pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in boards]))
        names = ("query", "pin_id", "clicks")
        writer.write("queries", pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in QUERIES]))
        if listed:
            writer.write("users", pa.table({"user_id": [*listed, "cat"], "consent": [True] * len(listed) + [False]}))
    return Catalogue(folder / "catalogue")


def forgotten(*users: str) -> Forgotten:
    return Forgotten("salt", {Forgotten("salt").digest(user_key(one)): "2026-11-29T00:00:00+00:00" for one in users})


def test_a_title_is_its_users_own_until_somebody_searches_for_it(tmp_path):
    found = source(tmp_path)
    assert OwnTitles.read(found).users == {"Ann's attic": 1, "hats": 2, "secret": 0, "open": 1}
    assert titles_of(found, ["ann"]) == {"Ann's attic"}
    assert titles_of(found, ["ann", "bob"]) == {"Ann's attic", "hats", "no query"}


def test_texts_that_are_not_utf_8_are_read(tmp_path):
    found = source(tmp_path, listed=())
    broken = pa.StringArray.from_buffers(1, *pa.array([b"\xff"]).buffers()[1:])
    rows = dict.fromkeys(("board_id", "title", "user_id"), broken) | {"pin_id": ["a"]}
    pq.write_table(pa.table(rows), found.root / "boards" / "00001.parquet")
    pq.write_table(pa.table({"query": broken, "pin_id": ["a"]}), found.root / "queries" / "00001.parquet")
    assert OwnTitles.read(found).users["\ufffd"] == 1


def test_without_a_list_the_catalogue_vouches_for_all_users(tmp_path):
    assert OwnTitles.read(source(tmp_path, listed=())).users["secret"] == 1


def test_a_user_without_consent_has_no_title(tmp_path):
    boards = [*BOARDS[:-3], ("b8", "b", "secret", "cat"), *BOARDS[-2:]]
    assert OwnTitles.read(source(tmp_path, boards)).users["secret"] == 0


@pytest.mark.parametrize("when", ["later", "before it was read"])
def test_forgotten_users_have_none(tmp_path, when):
    found, gone = source(tmp_path), forgotten("ann")
    left = OwnTitles.read(found).without(gone) if when == "later" else OwnTitles.read(Catalogue(found.root, gone))
    assert left.users == {"Ann's attic": 0, "hats": 1, "secret": 0, "open": 1}


def test_of_a_catalogue_that_names_no_users_only_what_is_left_to_nobody_is_known(tmp_path):
    titles = OwnTitles.read(source(tmp_path, [(*row[:3], None) for row in BOARDS], listed=()))
    assert titles.users == {}
    assert titles.without(forgotten("b1", "b3")).users == {}  # others have them still
    assert titles.without(forgotten("b1", "b2", "b3")).users == {"Ann's attic": 0}
