"""The whole import over small tables made here: what is kept, what is refused and why."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_import import SPEC, image, pins, run

from model.errors import CatalogueError


def test_a_clean_import(data):
    steps = []
    catalogue, rows, quarantine = run(data, report=lambda fraction, message: steps.append(fraction))
    assert pins(catalogue, "title") == [
        {"pin_id": "1", "title": "one"},
        {"pin_id": "2", "title": "two"},
        {"pin_id": "3", "title": None},
    ]
    assert catalogue.read("boards", ["board_id", "pin_id", "title"]).num_rows == 3
    assert catalogue.read("queries", ["query", "pin_id", "clicks"]).to_pylist() == [
        {"query": "red", "pin_id": "1", "clicks": 1},
        {"query": "red", "pin_id": "2", "clicks": 1},
        {"query": "blue", "pin_id": "3", "clicks": 1},
    ]
    assert rows["pins"] == {"table": "pins", "read": 3, "kept": 3, "dropped": 0, "reason": ""}
    assert quarantine == []
    saved = json.loads((catalogue.root / "import.json").read_text())
    assert (saved["spec"], saved["quarantined"], saved["rows"]) == ("spec.yaml", 0, list(rows.values()))
    assert sorted(path.name for path in catalogue.root.iterdir()) == [
        "boards",
        "import.json",
        "pins",
        "quarantine.parquet",
        "queries",
    ]
    assert steps == sorted(steps)
    assert steps[-1] == 1.0


def test_importing_twice_gives_the_same_bytes(data):
    first = run(data)[0].digest()
    assert run(data)[0].digest() == first
    assert [path.name for path in data.parent.iterdir() if path.name.startswith(".")] == []


def test_bad_pins_are_refused_one_by_one(data):
    rows = [
        {"id": "1", "image": b"<svg/>", "name": "no image, so the next 1 is the first"},
        {"id": "1", "image": image(), "name": "kept"},
        {"id": "1", "image": image("blue"), "name": "again"},
        {"id": None, "image": image(), "name": "x"},
        {"id": "nan", "image": image(), "name": "x"},
        {"id": "2", "image": None, "name": "x"},
        {"id": "3", "image": image(), "name": "nan"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), data / "items.parquet")
    catalogue, report, quarantine = run(data)
    assert pins(catalogue, "title") == [{"pin_id": "1", "title": "kept"}, {"pin_id": "3", "title": None}]
    assert quarantine == [
        ("pins", "1", "unknown image format: no JPEG, PNG, WEBP, GIF, BMP, AVIF, TIFF or HEIF"),
        ("pins", "1", "duplicate pin_id, the first one is kept"),
        ("pins", "items.parquet row 4", "no pin_id"),
        ("pins", "items.parquet row 5", "no pin_id"),
        ("pins", "2", "no image"),
        ("boards", "b → 2", "no such Pin in the catalogue"),
    ]
    assert (report["pins"]["read"], report["pins"]["kept"], report["pins"]["dropped"]) == (7, 2, 5)
    assert report["pins"]["reason"].startswith("2 × no pin_id; 1 × ")
    assert (report["boards"]["kept"], report["boards"]["dropped"]) == (2, 1)


def test_every_pin_column(data):
    (data / "items.csv").write_bytes(
        b"id,file,tags,label,when,may,group,vendor\n"
        b'1,a.png,"x; y",z,2020-01-02,yes,g,acme\n'
        b"2,a.png,,,,,,\n"
        b"3,a.png,x,x,someday,yes,g,acme\n"
        b"4,a.png,x,x,2020-01-02,perhaps,g,acme\n"
        b"5,a.png,caf\xe9,x,2020-01-02,no,g,acme\n"
        b"6,gone.png,,,,,,\n"
    )
    (data / "images").mkdir()
    (data / "images" / "a.png").write_bytes(image())
    spec = """
pins:
  table: items.csv
  pin_id: id
  image: {column: file, folder: images}
  annotations: {column: [tags, label], separator: ";"}
  created_at: when
  consent: may
  group_id: group
  slices: {vendor: vendor}
"""
    catalogue, rows, quarantine = run(data, spec)
    found = pins(catalogue, "annotations", "created_at", "consent", "group_id", "slice_vendor")
    assert [(pin["pin_id"], pin["created_at"], pin["annotations"]) for pin in found[2:]] == [
        ("3", None, ["x"]),  # an optional value that cannot be read does not cost the Pin
        ("5", datetime(2020, 1, 2, tzinfo=UTC), ["x"]),
    ]
    assert found[:2] == [
        {
            "pin_id": "1",
            "annotations": ["x", "y", "z"],
            "created_at": datetime(2020, 1, 2, tzinfo=UTC),
            "consent": True,
            "group_id": "g",
            "slice_vendor": "acme",
        },
        {
            "pin_id": "2",
            "annotations": [],
            "created_at": None,
            "consent": None,
            "group_id": None,
            "slice_vendor": None,
        },
    ]
    assert [row[1:] for row in quarantine] == [
        ("4", "consent is neither true nor false"),
        ("6", "no such image file"),
    ]
    assert "1 × created_at is no date that can be read; write its format" in rows["pins"]["reason"]
    assert "1 × annotations is no UTF-8 text (left empty)" in rows["pins"]["reason"]
    assert catalogue.count("boards") == catalogue.count("queries") == 0


def test_columns_that_no_file_has_are_not_in_the_catalogue(data):
    catalogue, rows, _ = run(
        data, "pins: {table: items.parquet, pin_id: id, image: image, title: name, caption: 'ai?'}"
    )
    assert catalogue.columns("pins") == ["pin_id", "image", "title"]
    assert rows["pins"]["reason"] == "ai is missing in 1 of 1 files"


def test_child_tables_give_annotations_and_slices(data):
    spec = """
pins:
  table: items.parquet
  pin_id: id
  image: image
  annotations: {table: words.csv, key: id, value: word, by: score}
  slices: {top: {table: words.csv, key: id, value: word, by: score, where: score >= 1 and score < 50, optional: true}}
"""
    (data / "words.csv").write_text("id,word,score\n1,low,5\n1,high,90\n1,none,\n1,high,3\n9,x,1\n2,,1\n")
    catalogue, rows, quarantine = run(data, spec)
    assert pins(catalogue, "annotations", "slice_top") == [
        {"pin_id": "1", "annotations": ["high", "low", "none"], "slice_top": "low"},
        {"pin_id": "2", "annotations": [], "slice_top": None},
        {"pin_id": "3", "annotations": [], "slice_top": None},
    ]
    assert (rows["annotations"]["read"], rows["annotations"]["kept"]) == (6, 4)
    assert "1 × of Pins that are not in the catalogue" in rows["annotations"]["reason"]
    assert ("annotations", "words.csv line 7", "no key or no value") in quarantine
    (data / "words.csv").write_text("id,word,score\n1,a,many\n1,b,1\n")
    spec = spec.replace("where: score >= 1 and score < 50, ", "")
    catalogue, rows, quarantine = run(data, spec)
    assert pins(catalogue, "annotations")[0]["annotations"] == ["b", "a"]  # without a readable score: last
    assert rows["annotations"]["reason"] == "1 × by is no number (left empty)"
    assert quarantine == []


def test_boards_from_two_tables_and_repeats(data):
    (data / "more.csv").write_text("board,item,when\nb,1,2020-01-01\nd,1,2020-01-01\nd,1,2020-01-01\nd,2,never\n,2,\n")
    spec = SPEC.replace("boards: {", "boards:\n  - {").replace(
        "queries", "  - {table: more.csv, board_id: board, pin_id: item, saved_at: when}\nqueries"
    )
    catalogue, rows, quarantine = run(data, spec)
    assert catalogue.read("boards", ["board_id", "pin_id", "title", "saved_at"]).to_pylist()[-2] == {
        "board_id": "d",
        "pin_id": "1",
        "title": None,
        "saved_at": datetime(2020, 1, 1, tzinfo=UTC),
    }
    assert quarantine == [
        ("boards", "b → 1", "the Pin is on this board already"),
        ("boards", "d → 1", "the Pin is on this board already"),
        ("boards", "more.csv line 6", "no board_id"),
    ]
    assert (rows["boards[0]"]["kept"], rows["boards[1]"]["kept"]) == (3, 2)
    assert (
        "1 × saved_at is no date that can be read; write its format, e.g. '%d %B %Y' (left empty)"
        in (rows["boards[1]"]["reason"])
    )
    assert "1 board ids are in an earlier table too" in rows["boards[1]"]["reason"]


ids = st.sampled_from(["a", "b", "c", "", " a"])


@settings(max_examples=25, deadline=None)
@given(items=st.lists(ids, min_size=1, max_size=6), edges=st.lists(st.tuples(ids, ids), min_size=1, max_size=12))
def test_against_a_naive_import(tmp_path_factory, items, edges):
    root = tmp_path_factory.mktemp("naive") / "data"
    root.mkdir()
    kept = list(dict.fromkeys(item.strip() for item in items if item.strip()))
    pairs = [(board.strip(), pin.strip()) for board, pin in edges]
    boards = list(dict.fromkeys((board, pin) for board, pin in pairs if board and pin in kept))
    assume(kept and boards)
    pq.write_table(pa.table({"id": items, "image": [image()] * len(items), "name": items}), root / "items.parquet")
    (root / "boards.csv").write_text("board,item,title\n" + "".join(f"{b},{p},{b}\n" for b, p in edges))
    catalogue, rows, quarantine = run(root, SPEC)
    assert [row["pin_id"] for row in pins(catalogue)] == kept
    assert [tuple(row.values()) for row in catalogue.read("boards", ["board_id", "pin_id"]).to_pylist()] == boards
    assert [tuple(row.values()) for row in catalogue.read("queries", ["query", "pin_id"]).to_pylist()] == boards
    assert all(row["read"] == row["kept"] + row["dropped"] for row in rows.values())
    assert len(quarantine) == len(items) - len(kept) + len(edges) - len(boards)


def test_queries_of_a_table_are_summed(data):
    (data / "clicks.tsv").write_text("q\titem\tn\nred\t1\t2\nblue\t1\t1\nred\t1\t3\nred\t9\t1\n\t1\t1\nred\t2\t0\n")
    spec = SPEC.replace("{from: board_titles}", "{table: clicks.tsv, query: q, pin_id: item, clicks: n}")
    catalogue, rows, quarantine = run(data, spec)
    assert catalogue.read("queries", ["query", "pin_id", "clicks"]).to_pylist() == [
        {"query": "red", "pin_id": "1", "clicks": 5},
        {"query": "blue", "pin_id": "1", "clicks": 1},
    ]
    assert quarantine == [
        ("queries", "red → 9", "no such Pin in the catalogue"),
        ("queries", "clicks.tsv line 6", "no query"),
        ("queries", "red → 2", "clicks is no whole number of at least 1"),
    ]
    assert rows["queries"]["reason"].endswith("2 distinct (query, pin) pairs in all")


def test_titles_and_a_table_of_queries_add_up(data):
    (data / "clicks.csv").write_text("q,item\nred,1\nred,1\n")
    spec = SPEC.replace(
        "{from: board_titles}",
        "\n  - {from: board_titles, where: \"title in ['red']\"}\n  - {table: clicks.csv, query: q, pin_id: item}",
    )
    catalogue, rows, _ = run(data, spec)
    assert catalogue.read("queries", ["query", "pin_id", "clicks"]).to_pylist() == [
        {"query": "red", "pin_id": "1", "clicks": 3},
        {"query": "red", "pin_id": "2", "clicks": 1},
    ]
    assert (rows["queries from board_titles"]["read"], rows["queries from board_titles"]["kept"]) == (3, 2)


def test_an_empty_table_of_pins(data):
    pq.write_table(pq.read_table(data / "items.parquet").slice(0, 0), data / "items.parquet")
    with pytest.raises(CatalogueError, match="it holds no rows"):
        run(data)
