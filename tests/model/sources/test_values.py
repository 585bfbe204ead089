"""Cells of users' tables, as Parquet and as CSV hand them over."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.sources.values import BadValue, count, flag, moment, number, text, texts


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
        (Decimal("1.50"), "1.50"),
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


def test_texts_cut_trim_and_drop_repeats():
    assert texts("a; b;;a", ";") == ["a", "b"]
    assert texts("a; b") == ["a; b"]
    assert texts(["x", None, "x ", b"y"]) == ["x", "y"]
    assert texts(None) == []


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2019-07-18 16:44:09.567", datetime(2019, 7, 18, 16, 44, 9, 567000, UTC)),
        ("2019-07-18T16:44:09+02:00", datetime(2019, 7, 18, 14, 44, 9, tzinfo=UTC)),
        ("2019-07-18", datetime(2019, 7, 18, tzinfo=UTC)),
        (date(2019, 7, 18), datetime(2019, 7, 18, tzinfo=UTC)),
        (datetime(2019, 7, 18), datetime(2019, 7, 18, tzinfo=UTC)),
        (datetime(2019, 7, 18, 3, tzinfo=timezone(timedelta(hours=3))), datetime(2019, 7, 18, tzinfo=UTC)),
        ("", None),
        (None, None),
    ],
)
def test_moment(cell, expected):
    assert moment(cell) == expected


@pytest.mark.parametrize("cell", ["yesterday", "1909", 1600000000, "0001-01-01T00:00:00+14:00"])
def test_what_is_no_date_is_refused(cell):
    with pytest.raises(BadValue, match="ISO 8601"):
        moment(cell)


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
