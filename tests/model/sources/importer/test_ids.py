"""Ids as tables spell them: which are one and the same, which are refused, which are no id."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_import import SPEC, image, pins, run

from model.errors import CatalogueError, SpecError


def test_ids_in_two_spellings_meet_and_what_does_not_is_shown(data):
    pq.write_table(
        pa.table({"id": pa.array([1, 2, 3], pa.decimal128(38, 9)), "image": [image()] * 3, "name": ["a", "b", "c"]}),
        data / "items.parquet",
    )
    (data / "boards.csv").write_text("board,item,title\nb,1.0,red\nb,2,red\n7.0,3,blue\n7,1,blue\n")
    catalogue, _, quarantine = run(data)
    assert quarantine == []
    assert [tuple(row.values()) for row in catalogue.read("boards", ["board_id", "pin_id"]).to_pylist()] == [
        ("b", "1"),
        ("b", "2"),
        ("7", "3"),
        ("7", "1"),
    ]
    (data / "boards.csv").write_text("board,item,title\nb,1.5,red\n")
    with pytest.raises(SpecError, match=r"no such Pin in the catalogue, e\.g\. '1\.5', while pin_id are like '1'"):
        run(data)


def test_marks_of_a_missing_value_make_no_board_group_or_query(data):
    marks = ["\\N", "NULL", "None", "<NA>", "null", "nan"]
    items = {
        "id": ["NULL", "2"],
        "image": [image()] * 2,
        "name": ["a", "b"],
        "group": ["NULL", "\\N"],
        "when": ["NULL", "\\N"],
    }
    pq.write_table(pa.table(items), data / "items.parquet")
    rows = "".join(f"{mark},2,{mark}\n" for mark in marks)
    (data / "boards.csv").write_text(f"board,item,title\nb,NULL,red\n{rows}c,2,NULL\n")
    spec = SPEC.replace("title: name}", "title: name, group_id: group, created_at: when, slices: {g: group}}")
    catalogue, rows, _ = run(data, spec)
    found = pins(catalogue, "group_id", "created_at", "slice_g")
    assert found == [{"pin_id": name, "group_id": None, "created_at": None, "slice_g": None} for name in ("NULL", "2")]
    assert rows["boards"]["reason"] == "6 × no board_id"
    assert catalogue.read("queries", ["query"])["query"].to_pylist() == ["red"]


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        (pa.array([1.0, 2.0**24], pa.float32()), "pin_id is a number too large for its floating-point column"),
        (pa.array([1.0, 2.0**11], pa.float16()), "pin_id is a number too large for its floating-point column"),
        (["1", "9007199254740992.0"], "pin_id is a number too large for its floating-point column"),
        ([["1"], ["2", "3"]], "pin_id is a list"),
        (["1", "a\0b"], "pin_id holds a line break or another control character"),
        (["1", "a\nb"], "pin_id holds a line break"),
        (["1", "a\u2028b"], "pin_id holds a line break"),
        (["1", "x" * 513], "pin_id is longer than 512 characters"),
        (["1", "./a.jpg"], "pin_id has a part . or .."),
    ],
)
def test_ids_that_are_not_one_thing_are_refused(data, ids, reason):
    pq.write_table(pa.table({"id": ids, "image": [image()] * 2}), data / "items.parquet")
    spec = "pins: {table: items.parquet, pin_id: id, image: image}"
    if reason.endswith("list"):
        with pytest.raises(CatalogueError, match=reason):
            run(data, spec)
        return
    catalogue, _, quarantine = run(data, spec)
    assert pins(catalogue) == [{"pin_id": "1"}]
    assert [row[2].startswith(reason) for row in quarantine] == [True]


def test_ids_that_look_odd_and_are_whole(data):
    ids = ["16777217", "9007199254740993", "9007199254740993.00", "\ufeff4"]
    pq.write_table(pa.table({"id": ids, "image": [image()] * 4}), data / "items.parquet")
    found = pins(run(data, "pins: {table: items.parquet, pin_id: id, image: image}")[0])
    assert [pin["pin_id"] for pin in found] == [*ids[:3], "4"]
    pq.write_table(pa.table({"pin": ["16777217"] * 2, "board": [["1", "2"], ["3"]]}), data / "boards.parquet")
    spec = """
pins: {table: items.parquet, pin_id: id, image: image}
boards: {table: boards.parquet, board_id: board, pin_id: pin}
"""
    with pytest.raises(SpecError, match="board_id is a list"):
        run(data, spec)


def test_times_as_ids_that_only_nanoseconds_part_are_refused(data):
    times = pa.array([1_000, 1_001, 1_002], pa.timestamp("ns"))
    pq.write_table(pa.table({"id": times, "image": [image()] * 3, "made": times}), data / "items.parquet")
    catalogue, _, quarantine = run(data, "pins: {table: items.parquet, pin_id: id, image: image, created_at: made}")
    assert [pin["pin_id"] for pin in pins(catalogue)] == ["1970-01-01T00:00:00.000001+00:00"]
    reason = "pin_id is a time with nanoseconds; export the column as text or integers"
    assert [row[2] for row in quarantine] == [reason] * 2
    pq.write_table(pa.table({"id": ["a"], "image": [image()], "made": times[1:2]}), data / "items.parquet")
    catalogue, rows, _ = run(data, "pins: {table: items.parquet, pin_id: id, image: image, created_at: made}")
    assert (rows["pins"]["reason"], catalogue.read("pins", ["created_at"])["created_at"].null_count) == ("", 0)


def test_prefixes_part_the_ids_of_two_tables(data):
    (data / "more.csv").write_text("board,item\nb,1\n")
    spec = """
pins: {table: items.parquet, pin_id: id, image: image, prefix: shop-}
boards:
  - {table: boards.csv, board_id: board, pin_id: item}
  - {table: more.csv, board_id: board, pin_id: item, prefix: more-}
"""
    catalogue, _, quarantine = run(data, spec)
    edges = [tuple(row.values()) for row in catalogue.read("boards", ["board_id", "pin_id"]).to_pylist()]
    assert edges == [("b", "shop-1"), ("b", "shop-2"), ("c", "shop-3"), ("more-b", "shop-1")]
    assert quarantine == []
