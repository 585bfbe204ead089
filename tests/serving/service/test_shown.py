"""What the service shows of the catalogue beside pictures: columns of filters, queries to begin with."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from model.data.catalogue import TIME, CatalogueWriter
from model.data.forgotten import Forgotten, user_key
from model.tags.calibration import TagCalibration
from serving.service.columns import Columns
from serving.service.messages import FilterIn
from serving.service.popular import PopularQueries
from serving.service.reading import RequestRefused
from serving.service.tags import Tags

IDS = ["a", "b", "c", "d"]


@pytest.fixture
def catalogue(tmp_path):
    """d has given no consent; b's values are those of no other Pin."""
    columns = {"pin_id": IDS, "image": [b"-"] * 4, "consent": [True, True, True, False]}
    columns["slice_kind"] = ["hat", "shoe", None, "secret"]
    columns["number_price"] = [1.0, 99.0, None, 500.0]
    days = [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 20, 3, 4)]
    with CatalogueWriter(tmp_path / "catalogue") as writer:
        writer.write("pins", pa.table(columns | {"created_at": pa.array(days, TIME)}))
        rows = [("hats", "a", 2), ("hats", "c", 3), ("red shoe", "b", 9), ("secret", "d", 50), ("once", "c", None)]
        writer.write(
            "queries", pa.table(dict(zip(("query", "pin_id", "clicks"), zip(*rows, strict=True), strict=True)))
        )
    return tmp_path / "catalogue"


def found(columns: Columns, wanted: dict) -> list[str]:
    asked = FilterIn.model_validate({"filter": wanted}).filter
    return pa.array(IDS).filter(pa.array(columns.selection(asked).mask(pa.array(IDS, pa.large_string())))).to_pylist()


def forgotten(*ids: str) -> Forgotten:
    return Forgotten("salt", {Forgotten("salt").digest(one): "2026-11-29T00:00:00+00:00" for one in ids})


def test_texts_numbers_and_times(catalogue):
    columns = Columns(catalogue)
    assert found(columns, {"kind": ["hat", "shoe"]}) == ["a", "b"]
    assert found(columns, {"price": {"min": 1, "max": 50}}) == ["a"]
    assert found(columns, {"price": {}}) == ["a", "b"]  # those that have one
    assert found(columns, {"created_at": {"min": "2026-11-03"}}) == ["b", "c"]
    assert found(columns, {"created_at": {"max": "2026-11-03T01:00:00+01:00"}, "kind": "hat"}) == ["a"]
    with pytest.raises(RequestRefused, match="write them as 2026-11-21T12:00:00Z"):
        found(columns, {"created_at": {"min": "yesterday"}})
    described = {one.name: (one.kind, one.values or (one.low, one.high)) for one in columns.described()}
    assert described["kind"] == ("text", ["hat", "shoe"])
    assert described["price"] == ("number", (1.0, 99.0))
    assert described["created_at"] == ("time", ("2026-11-01T00:00:00+00:00", "2026-11-20T00:00:00+00:00"))


def test_what_is_forgotten_leaves_no_value_behind(catalogue):
    columns, popular = Columns(catalogue), PopularQueries(catalogue)
    assert popular.queries(2) == ["red shoe", "hats", "once"]
    asked = {"kind": "shoe"}
    assert found(columns, asked) == ["b"]
    columns.forget(forgotten("b"))
    popular.forget(forgotten("b"))
    assert found(columns, asked) == []
    described = {one.name: one for one in columns.described()}
    assert (described["kind"].values, described["price"].high) == (["hat"], 1.0)
    assert popular.queries(2) == ["hats", "once"]


@pytest.fixture
def titled(tmp_path):
    """Ann and Bob have a board `hats` each; somebody else searched for `For Bob`."""
    titles = {"b1": "For Ann", "b2": "hats", "b3": "hats", "b4": "For Bob"}
    owners = {"b1": "ann", "b2": "ann", "b3": "bob", "b4": "bob"}
    with CatalogueWriter(tmp_path / "c") as writer:
        writer.write("pins", pa.table({"pin_id": ["a"], "image": [b"-"]}))
        boards = {"board_id": list(titles), "pin_id": ["a"] * 4, "title": list(titles.values())}
        writer.write("boards", pa.table(boards | {"user_id": list(owners.values())}))
        clicks = {"query": ["For Ann", "hats", "For Bob"], "pin_id": ["a"] * 3, "clicks": [1, 2, 5]}
        writer.write("queries", pa.table(clicks))
    return tmp_path / "c"


ANN, BOTH = (user_key("ann"),), (user_key("ann"), user_key("bob"))


@pytest.mark.parametrize(
    ("least", "gone", "left"),
    [
        (1, (), ["For Ann", "For Bob", "hats"]),
        (2, (), ["For Bob", "hats"]),
        (1, ANN, ["For Bob", "hats"]),
        (2, ANN, ["For Bob"]),
        (1, BOTH, ["For Bob"]),
    ],
)
def test_a_title_of_few_users_is_no_query_to_begin_with_and_no_tag(titled, least, gone, left):
    popular, tags = PopularQueries(titled), Tags(titled)
    told = TagCalibration({"picture": {"query": [9.0, 0, 0, 0, 0]}}, 1, {})
    before = {one.tag for one in tags.fitting("v1", told, "picture", [("a", 0.9)], 10)[0]}
    assert before == {"For Ann", "For Bob", "hats"}
    for shown in (popular, tags):
        shown.forget(forgotten(*gone))
    (titled / "boards/00000.parquet").unlink()  # as `pinclip forget` erases in the end
    for shown in (popular, tags):
        shown.forget(forgotten(*gone, "another Pin"))
    assert sorted(popular.queries(least)) == left
    counted = replace(told, min_board_pins=least)
    found = {one.tag for one in tags.fitting("v1", counted, "picture", [("a", 0.9)], 10)[0]}
    assert found == (set(left) if least == 1 else set())  # one Pin has them


def test_tags_are_words_of_consented_pins_that_enough_others_have(catalogue):
    tags, nearest = Tags(catalogue), [("d", 0.9), ("a", 0.9), ("c", 0.9), ("pushed", 0.9)]
    told = TagCalibration({"picture": {"query": [9.0, 0, 0, 0, 0], "slice_kind": [9.0, 0, 0, 0, 0]}}, 1, {})
    found, why = tags.fitting("v1", told, "picture", nearest, 10)
    assert {(one.tag, one.kind, one.column) for one in found} == {
        ("hats", "query", None), ("once", "query", None), ("hat", "slice", "kind"),
    }  # fmt: skip
    assert why is None
    assert [one.tag for one in tags.fitting("v1", replace(told, min_board_pins=2), "picture", nearest, 10)[0]] == [
        "hats"
    ]
    tags.forget(forgotten("c"))
    assert {one.tag for one in tags.fitting("v1", told, "picture", nearest, 10)[0]} == {"hats", "hat"}
    assert tags.fitting("v1", replace(told, min_board_pins=2), "picture", nearest, 10) == (
        [], "No word of the catalogue fits with a score of 0.3 or more; the highest is 0.00.",
    )  # fmt: skip
    assert "publish a new version" in tags.fitting("v1", None, "picture", nearest, 10)[1]
    assert "start it with --catalogue" in Tags(None).fitting("v1", told, "picture", nearest, 10)[1]


def test_without_a_catalogue_there_is_nothing_to_name():
    with pytest.raises(RequestRefused, match="there is none"):
        found(Columns(None), {"kind": "hat"})
    assert (Columns(None).described(), PopularQueries(None).queries(1)) == ([], [])
