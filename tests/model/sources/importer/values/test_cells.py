"""Cells of users' tables, as Parquet and as CSV hand them over."""

import math
import sqlite3
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.sources.importer.values.cells import BadValue, count, flag, number, text, word
from model.sources.importer.values.id_spellings import Spellings


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (None, None),
        (math.nan, None),
        ("nan", None),
        ("  ", None),
        (" a b ", "a b"),
        ("é".encode(), "é"),
        (12, "12"),
        (12.0, "12"),  # an id column that pandas made float, because one id was missing
        (0.5, "0.5"),
        (True, "true"),
        (Decimal("1.50"), "1.5"),
        (Decimal("100.000000000"), "100"),
        (Decimal("1E+3"), "1000"),
        ("\\N", None),
        ("<NA>", None),
        (date(2020, 1, 2), "2020-01-02"),
        (["a", None, " ", "b"], "a, b"),
        ([], None),
    ],
)
def test_text(cell, expected):
    assert text(cell) == expected


@pytest.mark.parametrize("cell", [b"caf\xe9", "caf\udce9", {"a": 1}])
def test_what_is_no_text_is_refused(cell):
    with pytest.raises(BadValue, match="text"):
        text(cell)


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()))
def test_text_is_trimmed_utf8_or_refused(cell):
    try:
        value = text(cell)
    except BadValue:
        return
    assert value is None or (value.strip() == value and value.encode("utf-8"))


def test_flags_numbers_and_counts():
    assert [flag(cell) for cell in (True, "T", "yes", 1, 1.0, "0", False, None)] == [True] * 5 + [False, False, None]
    assert [number(cell) for cell in ("1.5", 2, math.nan, None)] == [1.5, 2.0, None, None]
    assert [count(cell) for cell in ("3", 3.0, None)] == [3, 3, None]


@pytest.mark.parametrize(
    ("read", "cell"),
    [(flag, "maybe"), (number, "many"), (number, "inf"), (count, 0), (count, -1), (count, 1.5), (count, 1e300)],
)
def test_values_that_do_not_fit_are_refused(read, cell):
    with pytest.raises(BadValue):
        read(cell)


@pytest.mark.parametrize("cell", [2.0**53, -(2.0**60), math.inf, Decimal("Infinity"), Decimal("1E+5000")])
def test_numbers_that_are_no_exact_key(cell):
    with pytest.raises(BadValue):
        text(cell)
    assert text(2**63 - 1) == "9223372036854775807"


def test_null_is_no_name_but_may_be_a_query():
    marks = ["\\N", "NULL", "null", "None", "<NA>", "NaN", "N/A", " NULL "]
    assert [word(mark) for mark in marks] == [None] * len(marks)
    assert (text("null"), text("NA"), word("NA"), word("none")) == ("null", "NA", "NA", "none")
    assert word("cafe\u0301") == "caf\u00e9"


def test_one_id_in_two_spellings():
    known = Spellings(sqlite3.connect(":memory:"), "ids")
    known.add(["100", "7.0", "caf\u00e9", "8.0"])
    known.add(["7.0", "8.00"])
    found = known.find(["100", "100.0", "7", "7.00", "cafe\u0301", "8", "007", "9"])
    one, seven, cafe = (0, "100"), (1, "7.0"), (2, "caf\u00e9")
    assert found == {"100": one, "100.0": one, "7": seven, "7.00": seven, "cafe\u0301": cafe}
    assert known.example("x") == ", e.g. 'x', while pin_id are like '100'"
