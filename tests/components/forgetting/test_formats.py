"""Each kind of file: what is a Pin's goes, and everything else stays value for value."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.configuration import load
from components.forgetting.formats import look, neighbours
from components.forgetting.pins import SCRUBBED, Board, Pins
from model.data.catalogue import Catalogue, CatalogueWriter
from model.embedding.held_out import read_held_out, write_held_out

PINS = Pins(
    ("pin-1",), frozenset({"A zyzzogeton & friend"}), frozenset({"A dog"}), frozenset({"data:image/webp;base64,AAAA"})
)


def erased(file: Path, pins: Pins = PINS) -> int:
    """How much was found; afterwards nothing is."""
    found = look(file, pins)
    assert look(file, pins, erase=True) == found
    assert not file.exists() or look(file, pins) == 0
    return found


IDS = st.lists(st.sampled_from([f"pin-{i}" for i in range(12)]), max_size=40)


@settings(max_examples=60, deadline=None)
@given(ids=IDS, group=st.integers(1, 9))
def test_a_parquet_file_keeps_all_other_rows_and_its_row_groups(tmp_path_factory, ids, group):
    file = tmp_path_factory.mktemp("rows") / "00000.parquet"
    rows = [{"pin_id": i, "vector": [float(n), 0.5], "image": i.encode() * 3, "tags": [i]} for n, i in enumerate(ids)]
    schema = pa.schema({"pin_id": pa.string(), "vector": pa.list_(pa.float32(), 2), "image": pa.binary()})
    schema = schema.append(pa.field("tags", pa.list_(pa.string()))).with_metadata({"mine": "kept"})
    pq.write_table(pa.Table.from_pylist(rows, schema), file, compression="zstd", row_group_size=group)
    before = pq.ParquetFile(file)
    assert erased(file) == ids.count("pin-1")
    others = [row for row in rows if row["pin_id"] != "pin-1"]
    if not others:
        assert not file.exists() or not ids
        return
    after = pq.ParquetFile(file)
    assert after.read().to_pylist() == others
    assert after.schema_arrow.equals(before.schema_arrow)
    assert after.metadata.num_row_groups == before.metadata.num_row_groups
    assert after.metadata.row_group(0).column(0).compression == "ZSTD"
    assert after.schema_arrow.metadata[b"mine"] == b"kept"


def test_a_file_without_the_pin_is_not_touched(tmp_path):
    file = tmp_path / "00000.parquet"
    pq.write_table(pa.table({"pin_id": ["pin-10", "pin-11", None]}), file)
    before = file.read_bytes(), file.stat().st_mtime_ns
    assert erased(file) == 0
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


def test_a_quarantined_row_is_known_by_its_key_even_where_that_is_cut_off(tmp_path):
    long = Pins(("x" * 210,))
    keys = ["pin-1", "board · pin-1", "board · pin-10", "board · " + "x" * 192, "row 7"]
    rows = {"table": ["pins"] * 5, "key": keys, "reason": ["truncated"] * 5}
    pq.write_table(pa.table(rows), tmp_path / "quarantine.parquet")
    assert erased(tmp_path / "quarantine.parquet") == 2
    assert erased(tmp_path / "quarantine.parquet", long) == 1
    assert pq.read_table(tmp_path / "quarantine.parquet")["key"].to_pylist() == ["board · pin-10", "row 7"]


USERS = Pins((), frozenset({"Ann's attic"}), users=("ann",), titles=frozenset({"Ann's attic"}))


@pytest.mark.parametrize(
    ("rows", "left"),
    [
        ({"board_id": ["b", "ann", "ann"], "pin_id": ["p", "p", "q"], "user_id": ["ann", "bob", None]}, [1]),
        ({"board_id": ["b", "ann"], "pin_id": ["p", "p"]}, [0]),
        ({"user_id": ["ann", "anna"], "pin_id": ["p", "ann"]}, [1]),
        ({"user_id": ["ann", None], "consent": [True, None]}, [1]),
        ({"query": ["Ann's attic", "attic"], "pin_id": ["p", "p"], "clicks": [1, 1]}, [1]),
        ({"query": ["Ann's attic", "attic"], "vector": [[0.0], [1.0]]}, [1]),
        ({"pin_id": ["ann", "p"], "vector": [b"1", b"2"]}, [0, 1]),  # a Pin of that name
    ],
)
def test_rows_of_a_user(tmp_path, rows, left):
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table(rows), file)
    assert erased(file, USERS) == len(next(iter(rows.values()))) - len(left)
    assert pq.read_table(file).equals(pa.table(rows).take(left))


def test_a_quarantined_row_begins_with_its_user_in_tables_of_users_alone(tmp_path):
    told = [("boards", "ann · p"), ("preferences", "ann → p"), ("users", "ann"), ("boards", "anna · p")]
    told += [("pins", "ann"), ("preferences", "bob · ann"), ("preferences", "x" * 200), ("boards", "b1 · p")]
    pq.write_table(pa.table({"table": [t for t, _ in told], "key": [k for _, k in told]}), tmp_path / "q.parquet")
    board = Board("b1", frozenset({"q"}), frozenset({"q"}))  # a row of hers that was refused
    assert erased(tmp_path / "q.parquet", Pins((), users=("ann", "x" * 300), boards=frozenset({board}))) == 5
    assert pq.read_table(tmp_path / "q.parquet")["key"].to_pylist() == ["anna · p", "ann", "bob · ann"]


def test_a_key_of_an_import_names_its_pin_too(tmp_path):
    pq.write_table(pa.table({"table": ["boards"] * 2, "key": ["b → pin-1", "b → pin-10"]}), tmp_path / "q.parquet")
    assert erased(tmp_path / "q.parquet") == 1


def test_documents_lose_a_users_entries_and_titles_and_no_word_of_another(tmp_path):
    file = tmp_path / "examples.json"
    kept = [{"query": {"text": "anna"}, "results": [{"pin_id": "ann", "text": "ann and Ann's attic room"}]}]
    file.write_text(json.dumps([{"user_id": "ann", "score": 1}, {"query": {"text": "Ann's attic"}}, *kept]))
    assert erased(file, USERS) == 2
    assert json.loads(file.read_text()) == kept
    (tmp_path / "log.txt").write_text("ann asked\n")
    assert erased(tmp_path / "log.txt", USERS) == 0
    (tmp_path / "pixels.u8").write_bytes(b"\0ann")
    assert erased(tmp_path / "pixels.u8", USERS) == 0


def test_held_out_pins_of_a_run_go_and_what_else_the_file_says_stays(tmp_path):
    file = tmp_path / "held_out.parquet"
    with CatalogueWriter(tmp_path / "catalogue") as writer:
        writer.write("pins", pa.table({"pin_id": ["pin-1", "pin-10"], "image": [b"-"] * 2, "title": ["x", "y"]}))
    config = load("smoke", ["prepare.min_board_pins=5"])
    vectors = np.eye(2, dtype=np.float32)
    write_held_out(Catalogue(tmp_path / "catalogue"), np.arange(2), config, lambda rows, *_: vectors[rows], 2, file)
    assert erased(file) == 1
    left = read_held_out(file)
    assert (left.ids.to_pylist(), left.min_board_pins) == (["pin-10"], 5)
    assert left.vectors["both"].tolist() == [[0, 1]]


def test_tagged_pictures_lose_words_of_a_user_or_a_pin_and_stay(tmp_path):
    kind = pa.list_(pa.struct([("tag", pa.string()), ("score", pa.float32())]))
    rows = [[("Ann's attic", 0.5), ("attic", 0.5)], None, [("Ann's attic", 0.75)], [("A zyzzogeton & friend", 0.5)]]
    named = [row and [dict(zip(("tag", "score"), one, strict=True)) for one in row] for row in rows]
    table = pa.table({"file": list("abcd"), "tags": pa.array(named, kind), "why": ["", "nothing fits", "", ""]})
    pq.write_table(table, tmp_path / "tags.parquet")
    assert erased(tmp_path / "tags.parquet", USERS) == 2
    assert erased(tmp_path / "tags.parquet") == 1
    left = pq.read_table(tmp_path / "tags.parquet")
    assert [[one["tag"] for one in tags] for tags in left["tags"].to_pylist()] == [["attic"], [], [], []]
    assert left.select(["file", "why"]).equals(table.select(["file", "why"]))


def test_a_graph_loses_the_boards_and_titles_of_a_user(tmp_path):
    folder, ids = tmp_path / "neighbours", ["p0", "p1", "p2", "p3"]
    folder.mkdir()
    edges = [(0, 0), (1, 0), (1, 1), (2, 1), (3, 1), (0, 2), (1, 2), (2, 2)]
    columns = {"pin": pa.array([pin for pin, _ in edges], pa.int32())}
    whole = {
        "split.parquet": pa.table({"pin_id": ids, "fresh": [False] * 4}),
        "edges.parquet": pa.table(columns | {"board": pa.array([board for _, board in edges], pa.int32())}),
        "texts.parquet": pa.table({"pin": pa.array([0, 1], pa.int32()), "text": ["Ann's attic", "attic"]}),
        "neighbours.parquet": pa.table(dict.fromkeys(("pin", "neighbour"), pa.array([0, 1], pa.int32()))),
    }
    for name, table in whole.items():
        pq.write_table(table, folder / name)
    whole_board, shared = frozenset({"p1", "p2", "p3", "gone"}), frozenset({"p0", "p1", "p2"})
    held = {
        Board("b1", whole_board, whole_board),
        Board("b2", shared, frozenset({"p2"})),
        Board("b7", *[frozenset({"p0", "p2"})] * 2),
    }
    pins = Pins((), users=("ann",), titles=frozenset({"Ann's attic"}), boards=frozenset(held))
    assert neighbours.look(folder, pins, erase=True) == 5
    assert neighbours.look(folder, pins) == 0
    edges = pq.read_table(folder / "edges.parquet")
    assert list(zip(*(edges[name].to_pylist() for name in ("pin", "board")), strict=True)) == [
        (0, 0),
        (1, 0),
        (0, 2),
        (1, 2),
    ]
    assert pq.read_table(folder / "texts.parquet")["text"].to_pylist() == ["attic"]
    assert pq.read_table(folder / "neighbours.parquet").equals(whole["neighbours.parquet"])


def test_of_queries_only_those_that_led_to_the_pin_alone_go(tmp_path):
    pq.write_table(pa.table({"query": ["A zyzzogeton & friend", "A dog"]}), tmp_path / "queries.parquet")
    assert erased(tmp_path / "queries.parquet") == 1
    assert pq.read_table(tmp_path / "queries.parquet")["query"].to_pylist() == ["A dog"]


def test_examples_lose_what_the_pin_asked_and_what_it_answers(tmp_path):
    file = tmp_path / "examples.json"
    other = {"query": {"pin_id": "pin-10"}, "results": [{"pin_id": "pin-2", "score": 0.5, "hit": True}], "relevant": 3}
    mixed = {
        "query": {"text": "cats"},
        "results": [{"pin_id": "pin-1"}, {"text": "A zyzzogeton & friend"}, {"text": "A dog"}],
    }
    asked = {"query": {"pin_id": "pin-1"}, "results": [{"pin_id": "pin-2"}]}
    file.write_text(json.dumps({"search": [other, mixed, asked], "counts": {"pin-1": 4, "pin-10": 5}}, indent=2) + "\n")
    assert erased(file) == 4
    kept = {"query": {"text": "cats"}, "results": [{"text": "A dog"}]}
    expected = {"search": [other, kept], "counts": {"pin-10": 5}}
    assert file.read_text() == json.dumps(expected, indent=2) + "\n"


@pytest.mark.parametrize("zipped", [False, True])
def test_lines_of_a_journal_and_of_a_log(tmp_path, zipped):
    file = tmp_path / "events.jsonl"
    lines = ['{"pin_id": "pin-1", "time": 1}', '{"pin_id":"pin-10"}', '{"says": "pin-1 is broken"}']
    data = "".join(f"{line}\n" for line in lines).encode()
    file.write_bytes(gzip.compress(data) if zipped else data)
    assert erased(file) == 2
    left = gzip.decompress(file.read_bytes()) if zipped else file.read_bytes()
    assert left.decode().splitlines() == ['{"pin_id":"pin-10"}', json.dumps({"says": f"{SCRUBBED} is broken"})]


def test_a_log_loses_the_id_and_not_the_ids_that_begin_alike(tmp_path):
    (tmp_path / "pipeline.log").write_text("reading pin-1, pin-10 and my-pin-1\n")
    assert erased(tmp_path / "pipeline.log") == 1
    assert (tmp_path / "pipeline.log").read_text() == f"reading {SCRUBBED}, pin-10 and my-pin-1\n"


def article(title: str, source: str = "data:image/webp;base64,BBBB") -> str:
    shown = f'<span class="tile" title="{title}"><img src="{source}" alt="{title}"></span>'
    return f'<article class="example">{shown}</article>\n'


def test_a_report_loses_the_examples_with_the_pins_picture_or_words(tmp_path):
    file = tmp_path / "report.html"
    others = article("A cat") + article("pin-10")
    theirs = article("A cat", "data:image/webp;base64,AAAA") + article("A zyzzogeton &amp; friend") + article("pin-1")
    shared = article("A dog")  # nobody can tell whose dog
    file.write_text(f"<!doctype html>\n<html><body>{others}{theirs}{shared}</body></html>\n")
    assert erased(file) == 4
    assert file.read_text() == f"<!doctype html>\n<html><body>{others}</body></html>\n"


def test_of_an_unknown_binary_file_the_id_is_found(tmp_path):
    (tmp_path / "pins.bin").write_bytes(b"\x00\x01pin-1\x00")
    assert look(tmp_path / "pins.bin", PINS) == 1


@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(2, 9))
def test_a_graph_keeps_the_edges_of_all_others(tmp_path_factory, data, count):
    folder = tmp_path_factory.mktemp("graph") / "neighbours"
    folder.mkdir()
    ids = [f"pin-{i}" for i in range(count)]
    pairs = data.draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=20))
    whole = {
        "split.parquet": pa.table({"pin_id": ids, "fresh": [i % 2 == 0 for i in range(count)]}),
        "edges.parquet": pa.table({"pin": pa.array([a for a, _ in pairs], pa.int32()), "board": [b for _, b in pairs]}),
        "texts.parquet": pa.table({"pin": pa.array([b for _, b in pairs], pa.int32()), "text": ["t"] * len(pairs)}),
        "neighbours.parquet": pa.table(
            {
                "pin": pa.array([a for a, _ in pairs], pa.int32()),
                "neighbour": pa.array([b for _, b in pairs], pa.int32()),
            }
        ),
    }
    for name, table in whole.items():
        pq.write_table(table, folder / name)
    (folder / "stats.json").write_text("{}")

    def named(column: str, table: str) -> list[str]:
        known = pq.read_table(folder / "split.parquet")["pin_id"].to_pylist()
        return [known[row] for row in pq.read_table(folder / table)[column].to_pylist()]

    assert neighbours.look(folder, PINS, erase=True) > 0
    assert neighbours.look(folder, PINS) == 0
    assert pq.read_table(folder / "split.parquet")["pin_id"].to_pylist() == [i for i in ids if i != "pin-1"]
    assert named("pin", "edges.parquet") == [ids[a] for a, _ in pairs if a != 1]
    kept = [(ids[a], ids[b]) for a, b in pairs if 1 not in (a, b)]
    both = zip(named("pin", "neighbours.parquet"), named("neighbour", "neighbours.parquet"), strict=True)
    assert list(both) == kept
    assert (folder / "stats.json").read_text() == "{}"
