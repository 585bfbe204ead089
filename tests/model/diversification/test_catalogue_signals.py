"""Words and boards in common: cosines of the projected rows are those of the sparse ones."""

import numpy as np
import pyarrow as pa
import pytest

from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.forgotten import Forgotten, user_key
from model.diversification.catalogue_signals import CatalogueSignal

PINS = {
    "pin_id": ["c", "a", "b", "hidden", "bare"],
    "image": [b"-"] * 5,
    "consent": [True, True, True, False, True],
    "title": ["Red CHAIR", "red chair, oak", "größe 7", "red chair", None],
    "annotations": [["oak table"], None, [None, "oak"], ["oak"], None],
}
SAVES = [
    ("b0", "a"),
    ("b0", "c"),
    ("b0", "hidden"),
    ("b1", "c"),
    ("b1", "b"),
    ("b1", "a"),
    ("b2", "b"),
    ("b1", "nobody"),
]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signals") / "catalogue"
    with CatalogueWriter(folder) as writer:
        writer.write("pins", pa.table(PINS))
        writer.write("boards", pa.table(dict(zip(("board_id", "pin_id"), zip(*SAVES, strict=True), strict=True))))
    return Catalogue(folder)


def cosine(one: dict, other: dict) -> float:
    both = sum(one[key] * other[key] for key in one.keys() & other.keys())
    return both / np.sqrt(sum(x * x for x in one.values()) * sum(x * x for x in other.values()))


def test_words_are_those_of_all_texts_and_weighed_by_their_rarity(catalogue):
    vectors = CatalogueSignal.words(catalogue).vectors(["a", "b", "c", "bare", "hidden", "nobody"], least=1)
    said = {"a": ["red", "chair", "oak"], "b": ["größe", "7", "oak"], "c": ["red", "chair", "oak", "table"]}
    counts = {word: sum(word in words for words in said.values()) for words in said.values() for word in words}
    weighed = {pin: {word: np.log(4 / counts[word]) for word in words} for pin, words in said.items()}
    assert vectors[0] @ vectors[2] == pytest.approx(cosine(weighed["a"], weighed["c"]), abs=0.27)
    assert vectors[0] @ vectors[1] == pytest.approx(cosine(weighed["a"], weighed["b"]), abs=0.27)
    assert np.allclose(np.linalg.norm(vectors[:3], axis=1), 1)
    assert not vectors[3:].any()


def test_boards_of_many_pins_say_less(catalogue):
    vectors = CatalogueSignal.boards(catalogue).vectors(["a", "b", "c", "bare"], least=1)
    on = {"a": {"b0": 2**-0.5, "b1": 3**-0.5}, "b": {"b1": 3**-0.5, "b2": 1.0}}
    assert vectors[0] @ vectors[2] == pytest.approx(1)  # the same boards
    assert vectors[0] @ vectors[1] == pytest.approx(cosine(on["a"], on["b"]), abs=0.27)
    assert not vectors[3].any()


def test_what_too_few_pins_have_does_not_count(catalogue):
    signal = CatalogueSignal.boards(catalogue)
    personal, alone = signal.vectors(["a", "b"], least=3)
    assert personal @ alone == pytest.approx(1)  # b1 alone is left of both
    assert not signal.vectors(["a"], least=4).any()


def test_a_forgotten_pin_joins_nobody(catalogue):
    gone = Forgotten("salt", {Forgotten("salt").digest("c"): "2026-11-29T00:00:00+00:00"})
    left = CatalogueSignal.boards(catalogue).without(gone)
    assert not left.vectors(["c"], least=1).any()
    assert not left.vectors(["a"], least=3).any()  # b0 and b1 have one Pin less


def test_what_a_user_saved_who_may_not_be_used_is_on_no_board(tmp_path):
    """bob shares the board b0 with ann, cat is alone with b1, eve without consent with b2; b3 names no user."""
    saves = [("b0", "a", "ann"), ("b0", "b", "ann"), ("b0", "b", "bob"), ("b0", "c", "bob")]
    saves += [("b1", "a", "cat"), ("b2", "a", "eve"), ("b3", "bare", None)]
    with CatalogueWriter(tmp_path / "catalogue") as writer:
        writer.write("pins", pa.table(PINS))
        named = ("board_id", "pin_id", "user_id")
        writer.write("boards", pa.Table.from_pylist([dict(zip(named, row, strict=True)) for row in saves]))
        people = {"user_id": ["ann", "bob", "cat", "eve"], "consent": [True, True, True, False]}
        writer.write("users", pa.table(people))

    def on(signal: CatalogueSignal) -> dict[str, int]:
        return dict(zip(signal.pins.ids.to_pylist(), signal.found_NF.sum(axis=1).tolist(), strict=True))

    signal = CatalogueSignal.boards(Catalogue(tmp_path / "catalogue"))
    assert on(signal) == {"a": 2, "b": 1, "bare": 1, "c": 1}
    salted = Forgotten("salt")
    gone = [salted.digest(one) for one in (user_key("ann"), user_key("b3"), "c")]
    assert on(signal.without(Forgotten("salt", dict.fromkeys(gone[:2], "")))) == {"a": 1, "b": 1, "bare": 0, "c": 1}
    left = signal.without(Forgotten("salt", dict.fromkeys(gone[2:], "")))
    assert on(left) == {"a": 2, "b": 1, "bare": 1}
    both = left.without(Forgotten("salt", dict.fromkeys(gone, "")))
    assert on(both) == {"a": 1, "b": 1, "bare": 0}


def test_a_catalogue_without_boards_and_texts_says_nothing(tmp_path):
    with CatalogueWriter(tmp_path / "catalogue") as writer:
        writer.write("pins", pa.table({"pin_id": ["a"], "image": [b"-"]}))
    bare = Catalogue(tmp_path / "catalogue")
    for signal in (CatalogueSignal.words(bare), CatalogueSignal.boards(bare)):
        assert not signal.vectors(["a", "b"], least=1).any()
