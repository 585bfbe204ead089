"""The words of a catalogue: whose they are, and what goes with Pins that are withheld or forgotten."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.forgotten import Forgotten, user_key
from model.tags.vocabulary import MANY, PinWords

PINS = {
    "pin_id": ["d", "b", "a", "c", "a"],
    "image": [b"-"] * 5,
    "consent": [True, True, True, False, True],
    "annotations": [["sun  hat", None, "red", "red"], ["sun hat"], None, ["secret"], ["of the second row"]],
    "slice_kind": ["hat", "hat", None, "hidden", "shoe"],
}
QUERIES = [("hats", "a", 2), ("hats", "d", None), ("hats", "c", 9), ("never", "b", 0), ("hats", "nobody", 1)]


@pytest.fixture
def words(tmp_path):
    with CatalogueWriter(tmp_path / "catalogue") as writer:
        writer.write("pins", pa.table(PINS))
        writer.write(
            "queries", pa.table(dict(zip(("query", "pin_id", "clicks"), zip(*QUERIES, strict=True), strict=True)))
        )
    return PinWords.read(Catalogue(tmp_path / "catalogue"))


def carried(words: PinWords) -> dict[tuple[str, str], list[str]]:
    """The Pins of every word that has one."""
    named = zip(words.kinds.to_pylist(), words.words.to_pylist(), strict=True)
    pins = {
        key: words.pins.ids.take(pa.array(words.carried_NT[:, [t]].nonzero()[0])).to_pylist()
        for t, key in enumerate(named)
    }
    return {key: ids for key, ids in pins.items() if ids}


def test_words_are_clean_and_those_of_consented_pins(words):
    assert words.pins.ids.to_pylist() == ["a", "b", "d"]
    assert carried(words) == {
        ("annotation", "sun hat"): ["b", "d"],
        ("annotation", "red"): ["d"],
        ("slice_kind", "hat"): ["b", "d"],
        ("query", "hats"): ["a", "d"],
    }
    assert sorted(words.counts_T[words.counts_T > 0].tolist()) == [1, 2, 2, 2]


def test_rows_of_few_and_of_all(words):
    asked = ["d", "nobody", "a", "c"]
    assert words.pins.rows(asked).tolist() == words.pins.all_rows(pa.array(asked)).tolist() == [2, -1, 0, -1]


def test_a_forgotten_pin_takes_its_words_along(words):
    gone = Forgotten("salt", {Forgotten("salt").digest("d"): "2026-11-29T00:00:00+00:00"})
    left = words.without(gone)
    expected = {("annotation", "sun hat"): ["b"], ("slice_kind", "hat"): ["b"], ("query", "hats"): ["a"]}
    assert carried(left) == expected
    assert left.pins.rows(["d"]).tolist() == [-1]
    assert left.counts_T.sum() == 3


def test_a_query_that_is_a_users_title_knows_how_many_have_it(tmp_path):
    with CatalogueWriter(tmp_path / "catalogue") as writer:
        writer.write("pins", pa.table({"pin_id": ["a", "b"], "image": [b"-"] * 2, "slice_kind": ["mine", "mine"]}))
        boards = {"board_id": ["1", "1", "2"], "pin_id": ["a", "b", "a"], "title": ["mine", "mine", "hats"]}
        writer.write("boards", pa.table(boards | {"user_id": ["ann", "ann", "bob"]}))
        asked = {"query": ["mine", "mine", "hats"], "pin_id": ["a", "b", "a"], "clicks": [1, 1, 2]}
        writer.write("queries", pa.table(asked))
    words = PinWords.read(Catalogue(tmp_path / "catalogue"))

    def users(of: PinWords) -> dict[tuple[str, str], int]:
        named = zip(of.kinds.to_pylist(), of.words.to_pylist(), strict=True)
        return dict(zip(named, of.users_T.tolist(), strict=True))

    others = {("slice_kind", "mine"): MANY, ("query", "hats"): MANY}  # somebody searched for the latter
    assert users(words) == {("query", "mine"): 1, **others}
    gone = Forgotten("salt", {Forgotten("salt").digest(user_key("ann")): "2026-11-29T00:00:00+00:00"})
    assert users(words.without(gone)) == {("query", "mine"): 0, **others}


def test_a_row_without_an_id_is_nobodys(tmp_path):
    (tmp_path / "pins").mkdir()
    rows = {"pin_id": ["a", None], "image": [b"-"] * 2, "slice_kind": ["hat", "shoe"]}
    pq.write_table(pa.table(rows), tmp_path / "pins" / "00000.parquet")
    assert carried(PinWords.read(Catalogue(tmp_path))) == {("slice_kind", "hat"): ["a"]}


def test_a_catalogue_of_pins_alone_has_no_words(tmp_path):
    with CatalogueWriter(tmp_path / "catalogue") as writer:
        writer.write("pins", pa.table({"pin_id": ["a"], "image": [b"-"]}))
    words = PinWords.read(Catalogue(tmp_path / "catalogue"))
    assert (words.carried_NT.shape, len(words.words)) == ((1, 0), 0)
