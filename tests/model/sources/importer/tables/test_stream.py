"""Streams of batches from real files, and the sentence each broken file gets."""

import bz2
import gzip
import json
import math
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import SpecError
from model.sources.importer.report import Quarantine
from model.sources.importer.spec.checks import Column
from model.sources.importer.spec.definition import Table
from model.sources.importer.spec.dialect import Dialect
from model.sources.importer.spec.row_filter import parse
from model.sources.importer.tables.stream import open_source, require_rows, scan


def table(*globs, where=None, optional=False, dialect=None):
    return Table("pins", globs, parse(where) if where else None, optional, dialect or Dialect())


def read(root, *globs, columns=("id",), where=None, rows=2, dialect=None):
    """(cells of all rows, quarantined rows, tally)."""
    source = open_source(
        table(*globs, where=where, dialect=dialect), root, [Column(c.rstrip("?"), c.endswith("?")) for c in columns]
    )
    path = root / ".quarantine.parquet"
    with Quarantine(path) as quarantine:
        batches = list(scan(source, quarantine, rows))
    assert all(len(batch.numbers) <= rows for batch in batches)
    assert [batch.done for batch in batches] == sorted(batch.done for batch in batches)
    found = [tuple(record[c.rstrip("?")] for c in columns) for batch in batches for _, record in batch.records()]
    return found, pq.read_table(path).to_pylist(), source.tally


def test_parquet_csv_and_tsv_give_the_same_rows(tmp_path):
    pq.write_table(pa.table({"id": ["a", "b", "c"], "x": [1, 2, 3]}), tmp_path / "t.parquet", row_group_size=2)
    (tmp_path / "t.csv").write_text("x,id\n1,a\n2,b\n3,c\n")
    (tmp_path / "t.tsv000").write_text("x\tid\n1\ta\n2\tb\n")
    (tmp_path / "t.tsv001").write_text("x\tid\n3\tc\n")
    expected = [("a",), ("b",), ("c",)]
    assert read(tmp_path, "t.parquet")[0] == expected
    assert read(tmp_path, "t.csv")[0] == expected
    assert read(tmp_path, "t.tsv*")[0] == expected
    assert read(tmp_path, str(tmp_path / "t.csv"))[0] == expected


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_delimiter_by_the_header_whatever_the_suffix(tmp_path, delimiter):
    (tmp_path / "t.csv000").write_text(delimiter.join(["id", "title"]) + "\n" + delimiter.join(["a", '"b, c; d"']))
    assert read(tmp_path, "t.csv*", columns=("id", "title"))[0] == [("a", "b, c; d")]


def test_byte_order_mark_windows_lines_blank_lines_and_line_breaks_in_quotes(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfid,title\r\n1,"two\nlines"\r\n\r\n2,x\r\n')
    found, refused, tally = read(tmp_path, "t.csv", columns=("id", "title"))
    assert found == [("1", "two\nlines"), ("2", "x")]
    assert (refused, tally.read) == ([], 2)


def test_blank_lines_before_the_header(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\n \r\n\nid;title\n1;a\n\n2;b;c\n")
    found, refused, _ = read(tmp_path, "t.csv", columns=("id", "title"))
    assert found == [("1", "a")]
    assert [row["place"] for row in refused] == ["t.csv line 7"]


def test_rows_of_another_width_are_refused_with_their_number(tmp_path):
    (tmp_path / "t.csv").write_text('id,title\n1,a\n2,b,c\n3\n4,"x"y\n5,e\n')
    found, refused, tally = read(tmp_path, "t.csv")
    assert found == [("1",), ("5",)]
    assert [row["key"] for row in refused] == ["t.csv line 3", "t.csv line 4", "t.csv line 5"]
    assert refused[0]["reason"] == "its number of values is not the header's"
    assert (tally.read, tally.dropped.total()) == (5, 3)


def test_undecodable_cells_come_through_for_their_row_to_be_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"id\ncaf\xe9\nb\n")
    assert read(tmp_path, "t.csv")[0] == [("caf\udce9",), ("b",)]
    broken = pa.array([b"caf\xe9", b"b"]).view(pa.string())
    lists = pa.ListArray.from_arrays([0, 1, 2], broken)
    pq.write_table(pa.table({"id": broken, "tags": lists}), tmp_path / "t.parquet")
    assert read(tmp_path, "t.parquet", columns=("id", "tags"))[0] == [(b"caf\xe9", [b"caf\xe9"]), (b"b", [b"b"])]


def test_nanosecond_times_and_categories_become_plain(tmp_path):
    times = pa.array([1_500_000_000_000_000_001], pa.timestamp("ns"))
    words = pa.array(["a"]).dictionary_encode()
    pq.write_table(pa.table({"id": times, "word": words}), tmp_path / "t.parquet")
    found = read(tmp_path, "t.parquet", columns=("id", "word"))[0]
    assert found == [(datetime(2017, 7, 14, 2, 40, tzinfo=UTC), "a")]


def test_where_counts_what_it_leaves(tmp_path):
    (tmp_path / "t.csv").write_text("id,kind\n1,a\n2,b\n3,a\n")
    found, refused, tally = read(tmp_path, "t.csv", where='kind == "a"')
    assert (found, refused) == ([("1",), ("3",)], [])
    assert (tally.read, dict(tally.dropped)) == (3, {'not chosen by where kind == "a"': 1})


def test_a_cell_that_where_cannot_compare_costs_its_row(tmp_path):
    (tmp_path / "t.csv").write_text("id,n\n1,1\n2,2\n3,x\n4,\n5,5\n")
    found, refused, tally = read(tmp_path, "t.csv", where="n >= 2")
    assert found == [("2",), ("5",)]
    assert [(row["place"], row["reason"]) for row in refused] == [
        ("t.csv line 4", "a cell that where n >= 2 cannot compare")
    ]
    assert (tally.read, tally.dropped["not chosen by where n >= 2"]) == (5, 2)


def test_optional_columns_and_tables(tmp_path):
    (tmp_path / "t.csv0").write_text("id,new\n1,a\n")
    (tmp_path / "t.csv1").write_text("id\n2\n")
    found, _, tally = read(tmp_path, "t.csv*", columns=("id", "new?", "never?"))
    assert found == [("1", "a", None), ("2", None, None)]
    assert tally.notes == ["never is missing in 2 of 2 files", "new is missing in 1 of 2 files"]
    source = open_source(table("t.csv*"), tmp_path, [Column("id"), Column("new", True), Column("never", True)])
    assert source.absent == {"never"}
    nothing = open_source(table("u.csv", optional=True), tmp_path, [Column("id")])
    assert (nothing.files, nothing.tally.notes) == ((), ["no file matches u.csv"])
    require_rows(nothing)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("t.csv", b"", "is empty; its first line must name the columns"),
        ("t.csv", b"\n \n", "is empty; its first line must name the columns"),
        ("t.csv", "id,title".encode("utf-16-le"), "holds NUL characters, as UTF-16 has them; save the file as UTF-8"),
        ("t.csv", b"a,iid\n1,2\n", "has no column 'id' (pins); did you mean 'iid'? its columns: a, iid."),
        ("t.csv", b"id,id\n1,2\n", "names the column 'id' twice"),
        ("t.csv", "id\n1\n".encode("utf-16"), "is UTF-16 text, by its first bytes; export the table as CSV"),
        ("t.csv", b'id,"title\n1,2\n', "cannot be read"),
        ("t.csv", b'id,title\n1,"open\n2,b\n', "line 2: a quoted value does not end"),
        ("t.parquet", b"PAR1 no", "cannot be read"),
        ("t.csv", b"id\n", "holds no rows"),
        ("t.xlsx", b"", "is no table"),
        ("t.jsonl", b"[\n{}]", "is one JSON array; write one object a line"),
        ("t.jsonl", b"7\n", "holds no JSON objects"),
        ("t.jsonl", b'{"iid": 1}\n', "has no column 'id' (pins); did you mean 'iid'?"),
        ("t.feather", b"ARROW1", "cannot be read"),
        ("t.csv.gz", b"\x1f\x8b", "cannot be read"),
        ("t.csv", gzip.compress(b"id\n1\n", mtime=0), "t.csv is compressed (gz); add .gz to its name, or unpack it."),
        ("t.jsonl", bz2.compress(b"{}"), "t.jsonl is compressed (bz2); add .bz2 to its name"),
        ("t.tsv", pa.compress(b"id\n1\n", codec="zstd", asbytes=True), "t.tsv is compressed (zst); add .zst"),
        ("t.csv.gz", b"id\n1\n", "called compressed by the end of its name, .gz, but it is not; take .gz away."),
        ("t.csv.gz", bz2.compress(b"id\n1\n"), "called compressed by the end of its name, .gz, but it is bz2;"),
        (
            "t.parquet",
            gzip.compress(b"PAR1\x15", mtime=0),
            "is compressed (gz); unpack it, for Parquet compresses within.",
        ),
        ("t.csv", b"PAR1\x15\0", "holds Parquet by its first bytes; let its name end in .parquet."),
        ("t.csv.gz", gzip.compress(b"PAR1\x15", mtime=0), "holds Parquet by its first bytes"),
        ("t.feather", b"PAR1\x15\0", "holds Parquet by its first bytes; let its name end in .parquet."),
        ("t.parquet", b"ARROW1\0\0", "holds Arrow by its first bytes; let its name end in .arrow."),
        ("t.csv", b"PK\x03\x04\0", "is a ZIP archive, as spreadsheets (.xlsx) are, by its first bytes"),
        ("t.json", b"SQLite format 3\0", "is an SQLite database, by its first bytes"),
        ("t.csv", b"PAR1,BZh,PK,ORC\n1,2,3,4\n", "has no column 'id' (pins); its columns: PAR1, BZh, PK, ORC."),
        ("t.csv", f"{','.join(f'c{n}' for n in range(1000))},ids\n".encode(), ", … and 981 more."),
        ("t.csv", b"ID\n1\n", "did you mean 'ID'? its columns: ID."),
        ("t.txt", b"id~" * 1000, f"its columns: {('id~' * 20)}…."),
    ],
)
def test_broken_files(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpecError) as caught:
        source = open_source(table(name), tmp_path, [Column("id")])
        with Quarantine(tmp_path / "q.parquet") as quarantine:
            list(scan(source, quarantine, 2))
        require_rows(source)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_a_missing_column_of_the_filter(tmp_path):
    with pytest.raises(SpecError, match=r"no file in .* matches x\*.csv \(pins\)"):
        open_source(table("x*.csv"), tmp_path, [])
    (tmp_path / "t.csv").write_text("id\n1\n")
    with pytest.raises(SpecError, match="no column 'kind'"):
        open_source(table("t.csv", where='kind == "a"'), tmp_path, [])


@pytest.mark.parametrize("inside", [None, "_SUCCESS", ".part-0.parquet.crc", "part-0.parquet"])
def test_a_folder_without_tables_is_there_and_empty(tmp_path, inside):
    (tmp_path / "t" / "country=NO").mkdir(parents=True)
    if inside:
        (tmp_path / "t" / "country=NO" / inside).touch()
    with pytest.raises(SpecError, match=r"t \(pins\) is a folder that holds no tables; name a folder with files in it"):
        open_source(table("t"), tmp_path, [])


def test_the_columns_most_like_the_missing_one_are_named(tmp_path):
    names = [f"column_{n}" for n in range(1000)]
    (tmp_path / "t.csv").write_text(",".join([*names, "titel"]) + "\n")
    with pytest.raises(
        SpecError, match=r"has no column 'title' .* did you mean 'titel'\? its columns: titel, "
    ) as error:
        open_source(table("t.csv"), tmp_path, [Column("title")])
    assert len(str(error.value).removeprefix(str(tmp_path))) < 500


def test_all_rows_dropped_names_the_filter(tmp_path):
    (tmp_path / "t.csv").write_text("id,kind\n1,a\n")
    source = open_source(table("t.csv", where='kind == "b"'), tmp_path, [])
    with Quarantine(tmp_path / "q.parquet") as quarantine:
        list(scan(source, quarantine, 2))
    with pytest.raises(SpecError, match=r"none of the 1 rows .* not chosen by where kind == \"b\""):
        require_rows(source)


def test_truncated_parquet_is_one_sentence(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": [str(i) for i in range(1000)]}), path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[20:200] = bytes(180)
    path.write_bytes(data)
    with pytest.raises(SpecError, match="cannot be read"):
        read(tmp_path, "t.parquet", rows=100)


def parts(root, suffix, write):
    """A folder as Spark leaves it: two parts, a mark, an empty part."""
    folder = root / f"t{suffix}"
    folder.mkdir()
    for number in range(2):
        write(folder / f"part-0000{number}-c000{suffix}", {"id": [str(number)]})
    (folder / "_SUCCESS").touch()
    (folder / f"._part-00000-c000{suffix}.crc").write_bytes(b"crc")
    (folder / f"part-00002{suffix}").touch()


def test_folders_of_parts(tmp_path):
    parts(tmp_path, ".parquet", lambda path, columns: pq.write_table(pa.table(columns), path))
    parts(
        tmp_path, ".csv.gz", lambda path, columns: path.write_bytes(gzip.compress(f"id\n{columns['id'][0]}\n".encode()))
    )
    parts(tmp_path, ".json", lambda path, columns: path.write_text(json.dumps({"id": columns["id"][0]}) + "\n"))
    for name in ("t.parquet", "t.csv.gz", "t.json"):
        assert read(tmp_path, name)[0] == [("0",), ("1",)]


def test_columns_that_only_a_folder_names(tmp_path):
    for country in ("NO", "S%C3%A5", "__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / "t.parquet" / f"country={country}").mkdir(parents=True)
        pq.write_table(pa.table({"id": [country]}), tmp_path / "t.parquet" / f"country={country}" / "part-0.parquet")
    found = read(tmp_path, "t.parquet", columns=("id", "country"))[0]
    assert found == [("NO", "NO"), ("S%C3%A5", "Så"), ("__HIVE_DEFAULT_PARTITION__", None)]
    assert read(tmp_path, "t.parquet/*/*.parquet", columns=("country",), where='country == "NO"')[0] == [("NO",)]


def test_compressed_text_json_lines_and_arrow_give_the_same_rows(tmp_path):
    text = b"id\na\nb\nc\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text[:5]) + gzip.compress(text[5:]))
    (tmp_path / "t.csv.zst").write_bytes(pa.compress(text, codec="zstd", asbytes=True))
    lines = b"".join(b'{"id": "%s"}\n' % row for row in (b"a", b"b", b"c"))
    (tmp_path / "t.jsonl").write_bytes(lines)
    (tmp_path / "t.ndjson.gz").write_bytes(gzip.compress(lines))
    table = pa.table({"id": ["a", "b", "c"]})
    pyarrow.feather.write_feather(table, tmp_path / "t.feather")
    with pa.ipc.new_stream(tmp_path / "t.arrow", table.schema) as stream:
        stream.write_table(table)
    for name in ("t.csv.gz", "t.csv.zst", "t.jsonl", "t.ndjson.gz", "t.feather", "t.arrow"):
        assert read(tmp_path, name)[0] == [("a",), ("b",), ("c",)], name
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text)[:-6])
    with pytest.raises(SpecError, match="cannot be read"):
        read(tmp_path, "t.csv.gz")


def test_a_broken_json_line_is_one_refused_row(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"id": 9007199254740993}\n\n{"id": \n[1]\n{"id": 1, "id": 2}\n{}\n')
    found, refused, tally = read(tmp_path, "t.jsonl")
    assert found == [(9007199254740993,), (None,)]
    assert [(row["place"], row["reason"]) for row in refused] == [
        ("t.jsonl line 3", "the line is no JSON"),
        ("t.jsonl line 4", "the line is no JSON object"),
        ("t.jsonl line 5", "the JSON object names a key twice"),
    ]
    assert tally.read == 5


@pytest.mark.parametrize("ending", ["parquet", "feather", "csv"])
def test_a_column_that_is_there_twice(tmp_path, ending):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["id", "id"])
    match ending:
        case "parquet":
            pq.write_table(table, tmp_path / "t.parquet")
        case "feather":
            with pa.ipc.new_file(tmp_path / "t.feather", table.schema) as file:
                file.write_table(table)
        case _:
            (tmp_path / "t.csv").write_text("id,id\na,b\n")
    with pytest.raises(SpecError, match=r"names the column 'id' twice; rename one\."):
        read(tmp_path, f"t.{ending}")


SWALLOWED = "id,title,file\n1,a,1.png\n2,{}vintage lamp,2.png\n3,b,3.png\n4,the owl{},4.png\n5,c,5.png\n"


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_stray_quote_that_swallows_rows(tmp_path, delimiter):
    (tmp_path / "t.csv").write_text(SWALLOWED.format('"', '"').replace(",", delimiter))
    found, refused, tally = read(tmp_path, "t.csv", columns=("id", "file"))
    assert found == [("1", "1.png"), ("5", "5.png")]
    assert [(row["place"], row["reason"][:51]) for row in refused] == [
        ("t.csv line 3", "a quoted value runs over lines that look like rows;"[:51])
    ]
    assert (tally.read, tally.extra_lines) == (3, 2)
    found, refused, _ = read(tmp_path, "t.csv", columns=("id", "title"), dialect=Dialect(quotes=None))
    assert [row[0] for row in found] == ["1", "2", "3", "4", "5"]
    assert (found[1][1], refused) == ('"vintage lamp', [])
    trusted = read(tmp_path, "t.csv", columns=("id", "file"), dialect=Dialect(sure=True))[0]
    assert trusted == [("1", "1.png"), ("2", "4.png"), ("5", "5.png")]


def test_a_stray_quote_that_is_never_closed_names_the_line(tmp_path):
    for end in ("", 'x"y'):
        (tmp_path / "t.csv").write_text(SWALLOWED.format('"', end))
        with pytest.raises(SpecError, match=r"line 3: a quoted value does not end properly .* write quotes: none"):
            read(tmp_path, "t.csv")


def test_long_values_with_line_breaks_are_values(tmp_path):
    note = "x " * 200_000 + "\nsee also,3,extra,list\nb9,5,more,words\nend"
    (tmp_path / "t.csv").write_text(f'id,pin,note,name\na,1,"{note}",n\nb,2,short,n\n')
    found, refused, tally = read(tmp_path, "t.csv", columns=("id", "note"))
    assert (found, refused) == ([("a", note), ("b", "short")], [])
    assert tally.reason == "line breaks within values: 3"


def test_times_that_no_calendar_holds(tmp_path):
    times = pa.array([2**63 - 1, -(2**63), 0, None], pa.timestamp("us"))
    seconds = pa.array([2**40, 10**12, 0, None], pa.timestamp("s"))
    days = pa.array([2**31 - 1, 10**7, 0, None], pa.int32()).cast(pa.date32())
    with pa.ipc.new_file(
        tmp_path / "t.arrow", pa.schema([("t", times.type), ("s", seconds.type), ("d", days.type)])
    ) as file:
        file.write_table(pa.table({"t": times, "s": seconds, "d": days}))
    found = read(tmp_path, "t.arrow", columns=("t", "s", "d"))[0]
    assert found[:2] == [(math.inf, math.inf, math.inf)] * 2
    assert found[2:] == [
        (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1)),
        (None,) * 3,
    ]


def test_int96_beyond_nanoseconds(tmp_path):
    late = datetime(3000, 1, 1, tzinfo=UTC)
    pq.write_table(
        pa.table({"t": pa.array([late], pa.timestamp("us", "UTC"))}),
        tmp_path / "t.parquet",
        use_deprecated_int96_timestamps=True,
    )
    assert read(tmp_path, "t.parquet", columns=("t",))[0] == [(late,)]


def test_other_marks_of_a_missing_value(tmp_path):
    (tmp_path / "t.csv").write_text("id,x\n1,-\n2, unknown \n3,a\n")
    found = read(tmp_path, "t.csv", columns=("x",), dialect=Dialect(missing=frozenset(("-", "unknown"))))[0]
    assert found == [(None,), (None,), ("a",)]


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=20))
def test_csv_as_written_is_csv_as_read(tmp_path_factory, rows):
    import csv

    root = tmp_path_factory.mktemp("csv")
    with (root / "t.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("id", "title"), *rows])
    assert read(root, "t.csv", columns=("id", "title"))[0] == rows
