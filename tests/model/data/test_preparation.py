"""The prepare step: every source row is kept, quarantined with a reason or dropped and counted."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.config import PrepareConfig
from model.data.catalogue import Catalogue, CatalogueWriter
from model.data.cleaning import MAX_CHARACTERS, clean, clean_query
from model.data.preparation import prepare
from model.errors import CatalogueError


def picture(seed: int, format: str = "PNG", side: int = 16) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def catalogue(folder: Path, pins: list[dict], boards: list[dict] = (), queries: list[dict] = ()) -> Catalogue:
    with CatalogueWriter(folder) as writer:
        for table, rows in (("pins", pins), ("boards", boards), ("queries", queries)):
            if rows:
                writer.write(table, pa.Table.from_pylist(rows))
    return Catalogue(folder)


def pins(*ids: str, **columns) -> list[dict]:
    return [{"pin_id": pin_id, "image": picture(i), **columns} for i, pin_id in enumerate(ids)]


def run(source: Catalogue, out: Path, **settings) -> tuple[dict, Catalogue]:
    summary = prepare(source, out, PrepareConfig(**settings))
    return summary, Catalogue(out / "catalogue")


def quarantine(out: Path) -> list[tuple]:
    return [tuple(row.values()) for row in pq.read_table(out / "quarantine.parquet").to_pylist()]


def column(prepared: Catalogue, table: str, name: str) -> list:
    return prepared.read(table, [name])[name].to_pylist()


def overwrite(source: Catalogue, table: str, rows: pa.Table) -> Catalogue:
    """Replaces a table by one that the writer would not write."""
    pq.write_table(rows, source.root / table / "00000.parquet")
    return source


def test_a_clean_catalogue_passes_unchanged(tmp_path):
    rows = pins("a", "b", title="Tea", annotations=["x", "y"], slice_vendor="v")
    boards = [{"board_id": "B", "pin_id": p, "title": "Drinks"} for p in "ab"]
    source = catalogue(tmp_path / "in", rows, boards, [{"query": "tea", "pin_id": "a", "clicks": 3}])
    summary, prepared = run(source, tmp_path / "out")
    for table in ("pins", "boards", "queries"):
        assert prepared.read(table, source.columns(table)).equals(source.read(table, source.columns(table)))
    assert summary["pins"]["kept"] == 2
    assert summary["digest"] == source.digest()
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    assert quarantine(tmp_path / "out") == []


def test_images_that_do_not_decode_are_quarantined_with_the_reason(tmp_path):
    rows = pins("good", "cut", "text", "none", "small")
    rows[1]["image"] = rows[1]["image"][:200]
    rows[2]["image"] = b"hello"
    rows[3]["image"] = b""
    rows[4]["image"] = picture(0, side=4)
    summary, prepared = run(catalogue(tmp_path / "in", rows), tmp_path / "out")
    assert column(prepared, "pins", "pin_id") == ["good"]
    assert quarantine(tmp_path / "out") == [
        ("pins", "cut", "truncated"),
        ("pins", "text", "unknown format"),
        ("pins", "none", "empty"),
        ("pins", "small", "too small"),
    ]
    assert summary["pins"]["quarantined_share"] == pytest.approx(0.8)


def test_of_pins_that_share_an_id_the_first_is_kept(tmp_path):
    rows = [{"pin_id": "a", "image": picture(1), "title": "first"}, {"pin_id": "a", "image": picture(2), "title": "2"}]
    _, prepared = run(catalogue(tmp_path / "in", rows), tmp_path / "out")
    assert column(prepared, "pins", "title") == ["first"]
    assert quarantine(tmp_path / "out") == [("pins", "a", "duplicate pin_id")]


def test_pins_that_share_an_image_are_kept_and_counted(tmp_path):
    rows = [{"pin_id": p, "image": picture(0)} for p in "abc"] + [{"pin_id": "d", "image": picture(9)}]
    summary, _ = run(catalogue(tmp_path / "in", rows), tmp_path / "out")
    facts = pq.read_table(tmp_path / "out" / "facts.parquet")
    assert summary["pins"]["kept"] == 4
    assert summary["pins"]["same_image"] == 2
    assert facts["copies"].to_pylist() == [3, 3, 3, 1]


def test_only_given_consent_is_consent(tmp_path):
    rows = pins("yes", "no", "unsaid", "both", "both")
    for row, consent in zip(rows, (True, False, None, True, False), strict=True):
        row["consent"] = consent
    boards = [{"board_id": "B", "pin_id": p} for p in ("yes", "no", "unsaid", "both")]
    summary, prepared = run(catalogue(tmp_path / "in", rows, boards), tmp_path / "out", min_board_pins=1)
    assert column(prepared, "pins", "pin_id") == ["yes"]
    assert summary["pins"]["dropped"] == {"no consent": 4}
    assert summary["pins"]["quarantined_share"] == 0
    assert summary["boards"]["dropped"] == {"no consent": 3}
    # Nothing but the count tells of the withheld Pins.
    assert quarantine(tmp_path / "out") == []
    assert pq.read_table(tmp_path / "out" / "facts.parquet")["pin_id"].to_pylist() == ["yes"]


def test_board_rows_are_held_against_the_kept_pins(tmp_path):
    rows = pins("a", "b", "c", "broken")
    rows[3]["image"] = b""
    named = [("B", "a"), ("B", "b"), ("B", "a"), ("B", "ghost"), ("C", "c"), ("C", "broken"), ("", "a"), (" ", "b")]
    boards = [{"board_id": board, "pin_id": pin, "title": " Tea\ttime "} for board, pin in named]
    summary, prepared = run(catalogue(tmp_path / "in", rows, boards), tmp_path / "out")
    assert prepared.read("boards", ["board_id", "pin_id", "title"]).to_pylist() == [
        {"board_id": "B", "pin_id": "a", "title": "Tea time"},
        {"board_id": "B", "pin_id": "b", "title": "Tea time"},
    ]
    counts = summary["boards"]
    assert counts["quarantined"] == {"no usable board_id": 2, "unknown Pin": 1}
    assert counts["dropped"] == {"refused Pin": 1, "repeated row": 1, "board of fewer than 2 Pins": 1}
    assert counts["read"] == 8 == counts["kept"] + sum(counts["quarantined"].values()) + sum(counts["dropped"].values())
    assert (counts["boards_read"], counts["boards_kept"]) == (4, 1)
    assert ("boards", "B · ghost", "unknown Pin") in quarantine(tmp_path / "out")


def test_queries_are_cleaned_and_their_clicks_added_up(tmp_path):
    named = [("tea", "a", 2), (" tea ", "a", 3), ("tea", "b", None), ("", "a", 1), ("nan", "b", 1), ("x", "ghost", 1)]
    named += [("tea", "c", -1), ("tea", "c", 0)]
    queries = [{"query": query, "pin_id": pin, "clicks": clicks} for query, pin, clicks in named]
    source = catalogue(tmp_path / "in", pins("a", "b", "c"), queries=queries)
    summary, prepared = run(source, tmp_path / "out")
    assert prepared.read("queries", ["query", "pin_id", "clicks"]).to_pylist() == [
        {"query": "tea", "pin_id": "a", "clicks": 5},
        {"query": "tea", "pin_id": "b", "clicks": 1},
    ]
    assert summary["queries"]["quarantined"] == {"empty query": 2, "negative clicks": 1, "unknown Pin": 1}
    assert summary["queries"]["dropped"] == {"no clicks": 1, "repeated row": 1}


def test_boards_and_queries_may_be_absent(tmp_path):
    summary, prepared = run(catalogue(tmp_path / "in", pins("a")), tmp_path / "out")
    assert summary["boards"]["read"] == summary["queries"]["read"] == 0
    assert prepared.count("boards") == prepared.count("queries") == 0


def test_texts_are_cleaned(tmp_path):
    rows = pins("a", "b")
    rows[0] |= {"title": "Cafe\u0301\x00 con\r\nleche", "annotations": ["nan", "Tea", " Tea ", None]}
    rows[1] |= {"title": "NaN", "annotations": [" "]}
    summary, prepared = run(catalogue(tmp_path / "in", rows), tmp_path / "out")
    assert column(prepared, "pins", "title") == ["Café con leche", None]
    assert column(prepared, "pins", "annotations") == [["Tea"], None]
    assert summary["pins"]["without_text"] == 1
    facts = pq.read_table(tmp_path / "out" / "facts.parquet")
    assert facts["title_length"].to_pylist() == [14, 0]
    assert facts["annotations_length"].to_pylist() == [1, 0]
    assert facts["texts"].to_pylist() == [2, 0]


@given(st.text(max_size=60))
def test_cleaning_twice_is_cleaning_once(text):
    assert clean(clean(text)) == clean(text)


def test_a_query_may_be_null():
    assert [clean_query(text) for text in ("null", " None\n", "NULL", "nan", "<NA>", "\ud800", None)] == [
        *("null", "None", "NULL"),
        *[""] * 4,
    ]
    assert clean("null") == ""


def test_clean_by_hand():
    assert clean(None) == clean(" \n") == clean("nan") == ""
    assert clean("\ufefftitle\u202egnp.exe") == "title gnp.exe"
    assert clean("👩\u200d🚀") == "👩\u200d🚀"
    assert len(clean("x" * 10_000)) == MAX_CHARACTERS


def not_utf8(*values: bytes) -> pa.Array:
    """A string column as a Parquet writer that checks nothing leaves it."""
    raw = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(values), raw.buffers())


def test_bytes_that_are_not_utf8(tmp_path):
    source = overwrite(
        catalogue(tmp_path / "in", pins("x")),
        "pins",
        pa.table(
            {
                "pin_id": not_utf8(b"a", b"\xff\xfe"),
                "image": [picture(0), picture(1)],
                "title": not_utf8(b"caf\xe9 noir", b"b"),
                "annotations": pa.ListArray.from_arrays([0, 1, 2], not_utf8(b"\xe9t\xe9", b"b")),
            }
        ),
    )
    _, prepared = run(source, tmp_path / "out")
    assert column(prepared, "pins", "title") == ["caf noir"]
    assert column(prepared, "pins", "annotations") == [["t"]]
    assert quarantine(tmp_path / "out") == [("pins", "\ufffd\ufffd", "no usable pin_id")]


def test_a_pin_without_id_is_named_by_its_row(tmp_path):
    ids = pa.array(["a", None, " "])
    rows = pa.table({"pin_id": ids, "image": [picture(i) for i in range(3)]})
    source = overwrite(catalogue(tmp_path / "in", pins("x")), "pins", rows)
    run(source, tmp_path / "out")
    assert [key for _, key, _ in quarantine(tmp_path / "out")] == ["row 1", " "]


@pytest.mark.parametrize(
    ("break_it", "sentence"),
    [
        ({"image": b"no image"}, r"None of the 2 Pins .* refused as 'unknown format'; give JPEG"),
        ({"consent": False}, r"None of the 2 Pins .* refused as 'no consent'; set the consent column"),
    ],
)
def test_when_nothing_is_left_the_sentence_names_the_main_reason(tmp_path, break_it, sentence):
    source = catalogue(tmp_path / "in", [row | break_it for row in pins("a", "b")])
    with pytest.raises(CatalogueError, match=sentence):
        prepare(source, tmp_path / "out", PrepareConfig())
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("queries", pa.table({"query": ["tea"], "pin_id": ["a"], "clicks": [float("nan")]})),
        ("boards", pa.table({"board_id": ["B"], "pin_id": ["a"], "title": [{"en": "tea"}]})),
        ("boards", pa.table({"board_id": pa.array([b"\xff"]), "pin_id": ["a"]})),
    ],
)
def test_a_column_of_the_wrong_type_is_one_sentence(tmp_path, table, rows):
    source = overwrite(catalogue(tmp_path / "in", pins("a")), table, rows)
    with pytest.raises(CatalogueError, match="do not fit the contract") as raised:
        prepare(source, tmp_path / "out", PrepareConfig())
    assert "\n" not in str(raised.value)


def test_a_broken_page_is_one_sentence(tmp_path):
    source = catalogue(tmp_path / "in", pins("a", "b", "c"))
    shard = source.shards("pins")[0]
    data = bytearray(shard.read_bytes())
    data[40:400] = b"\0" * 360
    shard.write_bytes(data)
    with pytest.raises(CatalogueError, match="import them again"):
        prepare(source, tmp_path / "out", PrepareConfig())


def test_pins_that_the_import_refused_are_in_the_account(tmp_path):
    source = catalogue(tmp_path / "in", pins("a", "b", "c"))
    refused = {"table": ["pins", "boards"], "key": ["d", "B"], "reason": ["no image", "no board_id"]}
    pq.write_table(pa.table(refused), source.root / "quarantine.parquet")
    summary, _ = run(source, tmp_path / "out")
    assert (summary["pins"]["read"], summary["pins"]["kept"], summary["pins"]["quarantined_share"]) == (4, 3, 0.25)
    assert quarantine(tmp_path / "out") == [("pins", "d", "no image")]
    (source.root / "quarantine.parquet").write_bytes(b"PAR1")
    with pytest.raises(CatalogueError, match="The quarantined rows of"):
        run(source, tmp_path / "out")


def test_the_same_source_gives_the_same_bytes(tmp_path):
    rows = pins(*(f"p{i}" for i in range(300)), title="Tea")
    boards = [{"board_id": f"b{i % 7}", "pin_id": f"p{i}"} for i in range(300)]
    source = catalogue(tmp_path / "in", rows, boards, [{"query": "tea", "pin_id": f"p{i}"} for i in range(9)])
    outputs = []
    for name in ("one", "two"):
        run(source, tmp_path / name)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        outputs.append({path.relative_to(tmp_path / name): path.read_bytes() for path in files})
    assert outputs[0] == outputs[1]


def test_progress_rises_to_one(tmp_path):
    seen: list[float] = []
    source = catalogue(tmp_path / "in", pins(*(f"p{i}" for i in range(300))))
    prepare(source, tmp_path / "out", PrepareConfig(), lambda fraction, message: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 3


def test_a_failure_leaves_the_previous_output(tmp_path):
    run(catalogue(tmp_path / "in", pins("a")), tmp_path / "out")
    bad = catalogue(tmp_path / "bad", [{"pin_id": "a", "image": b""}])
    with pytest.raises(CatalogueError):
        prepare(bad, tmp_path / "out", PrepareConfig())
    assert column(Catalogue(tmp_path / "out" / "catalogue"), "pins", "pin_id") == ["a"]
