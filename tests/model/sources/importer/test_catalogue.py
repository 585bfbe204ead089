"""The whole import over small tables made here: what is kept, what is refused and why, what an error leaves behind."""

import io
import json
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from model.data.catalogue import Catalogue
from model.errors import CatalogueError, SpecError
from model.sources.importer.catalogue import import_catalogue
from model.sources.importer.spec.reading import load_spec

SPEC = """
pins: {table: items.parquet, pin_id: id, image: image, title: name}
boards: {table: boards.csv, board_id: board, pin_id: item, title: title}
queries: {from: board_titles}
"""


def image(colour="red"):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def data(tmp_path):
    """Three Pins on two boards, and the spec above."""
    root = tmp_path / "data"
    root.mkdir()
    items = {"id": ["1", "2", "3"], "image": [image()] * 3, "name": ["one", "two", None]}
    pq.write_table(pa.table(items), root / "items.parquet")
    (root / "boards.csv").write_text("board,item,title\nb,1,red\nb,2,red\nc,3,blue\n")
    (root / "spec.yaml").write_text(SPEC)
    return root


def run(root, spec=None, report=lambda fraction, message: None):
    """(catalogue, report rows by table, quarantined rows)."""
    path = root / "spec.yaml"
    if spec:
        path.write_text(spec)
    out = root.parent / "catalogue"
    result = import_catalogue(load_spec(path), out, report)
    return Catalogue(out), {row["table"]: row for row in result.rows()}, refused(out)


def refused(out):
    return [(row["table"], row["key"], row["reason"]) for row in pq.read_table(out / "quarantine.parquet").to_pylist()]


def pins(catalogue, *columns):
    return catalogue.read("pins", ["pin_id", *columns]).to_pylist()


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


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (("name", "nome"), SpecError, "items.parquet has no column 'nome' (pins); did you mean 'name'?"),
        (("item,", "itm,"), SpecError, "boards.csv has no column 'itm' (boards); did you mean 'item'?"),
        (("items.parquet", "absent.parquet"), SpecError, "matches absent.parquet"),
        (("pin_id: id", "pin_id: image"), CatalogueError, "none of the 3 rows could be kept (3 × pin_id is no UTF-8"),
        (("image: image", "image: {folder: nope}"), SpecError, "pins.image: there is no folder nope in"),
        (("image: image", "image: {folder: .}"), CatalogueError, "3 × no image file is named by this pin_id"),
        (("pin_id: item", "pin_id: title"), SpecError, "boards: none of the 3 rows of boards.csv was kept"),
        (("from: board_titles", "from: board_titles, where: title == 'green'"), SpecError, "gave nothing"),
        (("from: board_titles", "from: board_titles, where: colour == 'green'"), SpecError, "no column 'colour'"),
    ],
)
def test_mistakes_leave_the_old_catalogue(data, change, error, sentence):
    before = run(data)[0].digest()
    with pytest.raises(error) as caught:
        run(data, SPEC.replace(*change))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert Catalogue(data.parent / "catalogue").digest() == before
    assert [path.name for path in data.parent.iterdir() if path.name.startswith(".")] == []


def test_an_empty_table_of_pins(data):
    pq.write_table(pq.read_table(data / "items.parquet").slice(0, 0), data / "items.parquet")
    with pytest.raises(CatalogueError, match="it holds no rows"):
        run(data)


def test_folders_that_must_not_be_replaced(data, tmp_path):
    spec = load_spec(data / "spec.yaml")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.png").write_bytes(image())
    with pytest.raises(CatalogueError, match="is no catalogue"):
        import_catalogue(spec, tmp_path / "photos")
    assert (tmp_path / "photos" / "mine.png").is_file()
    (data / "pins").mkdir()
    pq.write_table(pa.table({"a": [1]}), data / "pins" / "a.parquet")
    with pytest.raises(CatalogueError, match="holds the tables to import"):
        import_catalogue(spec, data)
    with pytest.raises(CatalogueError, match="cannot be written"):
        import_catalogue(spec, data / "boards.csv" / "out")


def test_a_name_that_the_locale_cannot_write_is_one_sentence(data, tmp_path):
    with pytest.raises(SpecError, match=r"is no UTF-8 in this locale; set LC_ALL=C\.UTF-8"):
        import_catalogue(load_spec(data / "spec.yaml"), tmp_path / "\udcc3\udc96ut")
    (data / "items.parquet").rename(data / "\udcff.parquet")
    with pytest.raises(SpecError, match="is no UTF-8 in this locale"):
        run(data, SPEC.replace("items.parquet", "'*.parquet'"))


def test_a_linked_target_keeps_its_link(data, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    import_catalogue(load_spec(data / "spec.yaml"), tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert Catalogue(tmp_path / "real").count("pins") == 3


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
        (["1", "a\0b"], "pin_id holds a NUL character"),
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


KILLED = """
import os, signal, sys
from pathlib import Path
from model.sources.importer.catalogue import import_catalogue
from model.sources.importer.spec.reading import load_spec
def report(done, message):
    if done > 0.8:
        os.kill(os.getpid(), signal.SIGKILL)
import_catalogue(load_spec(Path(sys.argv[1])), Path(sys.argv[2]), report)
"""


def test_an_import_that_was_killed_gives_the_same_bytes(data, tmp_path):
    expected = run(data)[0]
    again = tmp_path / "again"
    killed = subprocess.run([sys.executable, "-c", KILLED, data / "spec.yaml", again], check=False)
    assert (killed.returncode, again.exists()) == (-signal.SIGKILL, False)
    import_catalogue(load_spec(data / "spec.yaml"), again)
    assert not list(tmp_path.glob(".again*"))
    for file in sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file()):
        assert (again / file).read_bytes() == (expected.root / file).read_bytes(), file
