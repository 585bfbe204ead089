"""Tables as pandas, polars, pyarrow, DuckDB and csv write them: every row comes back as it was, or is in quarantine."""

import csv
import json

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.errors import SpecError
from model.sources.importer.report import Quarantine
from model.sources.importer.spec.checks import Column
from model.sources.importer.spec.definition import Table
from model.sources.importer.spec.dialect import Dialect
from model.sources.importer.tables.stream import open_source, scan

NAMES = ["id", "title", "note"]
# What CSV readers stumble over, more often than chance has it.
odd = st.sampled_from(
    ['"', '""', "\n", "\r\n", "\r", ",", "\t", ";", "|", "\\", "\\N", "NULL", "a", " ", "\0", "é", "é", "'", "1.0"]
)
cell = st.lists(odd, max_size=5).map("".join) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
tables = st.lists(st.tuples(*[cell] * len(NAMES)), min_size=1, max_size=8)


def by_csv(rows, path, delimiter, quoting=csv.QUOTE_MINIMAL):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, quoting=quoting).writerows([NAMES, *rows])


def by_pandas(rows, path, delimiter):
    pd.DataFrame(rows, columns=NAMES).to_csv(path, sep=delimiter, index=False)


def by_polars(rows, path, delimiter):
    pl.DataFrame(rows, schema=NAMES, orient="row").write_csv(path, separator=delimiter)


def by_pyarrow(rows, path, delimiter):
    pc.write_csv(arrow(rows), path, pc.WriteOptions(delimiter=delimiter))


def by_duckdb(rows, path, delimiter):
    whole = arrow(rows)  # noqa: F841 (DuckDB finds it by its name)
    duckdb.sql("SELECT * FROM whole").write_csv(str(path), sep=delimiter)


def arrow(rows):
    return pa.table([list(column) for column in zip(*rows, strict=True)], names=NAMES)


WRITERS = [by_csv, by_pandas, by_polars, by_pyarrow, by_duckdb]


def read(path, dialect=None):
    """(rows, refused, rows read)."""
    table = Table("pins", (path.name,), None, False, dialect or Dialect())
    source = open_source(table, path.parent, [Column(name) for name in NAMES])
    with Quarantine(path.parent / "quarantine") as quarantine:
        found = [tuple(r.values()) for batch in scan(source, quarantine, 3) for _, r in batch.records()]
    return found, pq.read_table(path.parent / "quarantine").to_pylist(), source.tally.read


def is_subsequence(found, rows):
    rest = iter(rows)
    return all(any(row == other for other in rest) for row in found)


@pytest.mark.parametrize("delimiter", [",", "\t"])
@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables)
def test_text_tables(tmp_path, writer, delimiter, rows):
    if writer in (by_pandas, by_polars):  # they leave a lone \r unquoted: at the end of a line it is gone for good
        rows = [tuple(cell.replace("\r", "") for cell in row) for row in rows]
    writer(rows, tmp_path / "t.csv", delimiter)
    try:
        found, refused, read_rows = read(tmp_path / "t.csv", Dialect(delimiter=delimiter))
    except SpecError:
        return  # said in one sentence: a writer did not quote what it should have
    assert read_rows == len(found) + len(refused)
    assert is_subsequence(found, rows)
    assert refused or found == rows


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_text_whose_quotes_the_spec_names_loses_nothing(tmp_path, rows, quoting):
    by_csv(rows, tmp_path / "t.csv", ",", quoting)
    assert read(tmp_path / "t.csv", Dialect(sure=True))[:2] == (rows, [])


@pytest.mark.parametrize("quoted", [True, False])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables)
def test_text_with_backslashes(tmp_path, quoted, rows):
    """As Spark writes it (escaped quotes), and as PostgreSQL does (no quotes, letters for control characters)."""
    letters = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    plain = str.maketrans(letters if not quoted else {"\\": "\\\\", '"': '\\"'})
    mark = '"{}"' if quoted else "{}"
    lines = ["\t".join(mark.format(cell.translate(plain)) for cell in row) for row in [NAMES, *rows]]
    (tmp_path / "t.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    dialect = Dialect(quotes='"' if quoted else None, sure=True, escape="\\", delimiter="\t")
    assert read(tmp_path / "t.tsv", dialect)[:2] == (rows, [])


@st.composite
def columns(draw):
    """Three columns of one type each, with nulls."""
    count = draw(st.integers(1, 6))
    numbers = [st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.decimals(-999, 999, places=3)]
    kinds = st.sampled_from(
        [*numbers, st.booleans(), st.dates(), cell, st.binary(max_size=4), st.lists(cell, max_size=3)]
    )
    return {name: draw(st.lists(st.none() | draw(kinds), min_size=count, max_size=count)) for name in NAMES}


@pytest.mark.parametrize("ending", ["parquet", "feather", "arrow", "duckdb.parquet", "polars.parquet"])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=columns())
def test_typed_tables(tmp_path, ending, table):
    whole = pa.table(table)
    path = tmp_path / f"t.{ending}"
    match ending:
        case "parquet":
            pq.write_table(whole, path)
        case "feather":
            pyarrow.feather.write_feather(whole, path)
        case "arrow":
            with pa.ipc.new_stream(path, whole.schema) as stream:
                stream.write_table(whole)
        case "duckdb.parquet":
            duckdb.sql("SELECT * FROM whole").write_parquet(str(path))
        case _:
            pl.from_arrow(whole).write_parquet(path)
    found, refused, _ = read(path)
    assert (found, refused) == (list(zip(*table.values(), strict=True)), [])


typed = st.none() | st.integers() | st.floats(allow_nan=False) | st.booleans() | cell | st.lists(cell, max_size=3)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys(NAMES, typed)), min_size=1, max_size=8))
def test_json_lines(tmp_path, rows):
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert read(tmp_path / "t.jsonl")[:2] == ([tuple(row[name] for name in NAMES) for row in rows], [])
