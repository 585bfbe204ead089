"""Times as warehouses, databases, spreadsheets and mails write them; what could be read in two ways is refused."""

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import SpecError
from model.sources.importer.values.cells import BadValue
from model.sources.importer.values.times import check_time_format, moment, time_reader

NOON = datetime(2023, 8, 8, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2019-07-18 16:44:09.567", datetime(2019, 7, 18, 16, 44, 9, 567000, UTC)),
        ("2019-07-18T16:44:09+02:00", datetime(2019, 7, 18, 14, 44, 9, tzinfo=UTC)),
        ("2023-08-08 12:00:00 UTC", NOON),
        ("2023-08-08 12:00:00.000000+00", NOON),
        ("2023-08-08T17:30:00.0000000+0530", NOON),
        ("2023-08-08T12", NOON),
        ("20230808120000Z", NOON),
        ("20230808T120000Z", NOON),
        ("20230808", datetime(2023, 8, 8, tzinfo=UTC)),
        ("2023/8/8", datetime(2023, 8, 8, tzinfo=UTC)),
        ("2023-08", datetime(2023, 8, 1, tzinfo=UTC)),
        ("2023", datetime(2023, 1, 1, tzinfo=UTC)),
        (2023, datetime(2023, 1, 1, tzinfo=UTC)),
        ("Tue, 08 Aug 2023 12:00:00 GMT", NOON),
        ("8 Aug 2023 14:00:00 +0200", NOON),
        (1691496000, NOON),
        ("1691496000.0", NOON),
        (1691496000.0, NOON),
        (Decimal("1691496000000.000"), NOON),
        (1691496000000000, NOON),
        (1691496000000000000, NOON),
        ("1610120500000", datetime(2021, 1, 8, 15, 41, 40, tzinfo=UTC)),
        (date(2019, 7, 18), datetime(2019, 7, 18, tzinfo=UTC)),
        (datetime(2019, 7, 18), datetime(2019, 7, 18, tzinfo=UTC)),
        (datetime(2019, 7, 18, 3, tzinfo=timezone(timedelta(hours=3))), datetime(2019, 7, 18, tzinfo=UTC)),
        *[(cell, None) for cell in ("", None, math.nan, "NULL", "\\N", "<NA>", "NaT", "0000-00-00 00:00:00")],
    ],
)
def test_moment(cell, expected):
    assert moment(cell) == expected


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("yesterday", "its format"),
        ("2023-02-30", "no date"),
        ("2023-08-08 25:00:00", "no date"),
        ("2023-08-08T12:00:00[Europe/Berlin]", "no date"),
        ("Tue, 08 Aug 2023 12:00:00 CET", "no date"),  # a zone that would silently count as UTC
        ("3/4/2021", "day or month first"),
        ("03.04.2021 12:00", "day or month first"),
        (161012050, "holds numbers"),
        ("2023080812", "holds numbers"),  # an hour, or a second of 2034
        ("202308", "holds numbers"),
        (99999999999999999999, "holds numbers"),
        (True, "no date"),
        (math.inf, "between the years"),
        (["2023"], ""),
        ("0001-01-01T00:00:00+14:00", "no date"),
    ],
)
def test_what_is_no_time_is_refused(cell, reason):
    if cell == ["2023"]:
        assert moment(cell) == datetime(2023, 1, 1, tzinfo=UTC)  # a list of one word is that word
        return
    with pytest.raises(BadValue, match=reason):
        moment(cell)


@pytest.mark.parametrize(
    ("format", "cell", "expected"),
    [
        ("s", "946684800", datetime(2000, 1, 1, tzinfo=UTC)),
        ("s", -1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("ms", 1500, datetime(1970, 1, 1, 0, 0, 1, 500000, UTC)),
        ("us", 0, datetime(1970, 1, 1, tzinfo=UTC)),
        ("ns", 1_500_000_000_000_000_001, datetime(2017, 7, 14, 2, 40, tzinfo=UTC)),
        ("%d/%m/%Y", "3/4/2021", datetime(2021, 4, 3, tzinfo=UTC)),
        ("%m/%d/%Y", "3/4/2021", datetime(2021, 3, 4, tzinfo=UTC)),
        ("iso", "20230808120000Z", NOON),
        ("rfc2822", "Tue, 08 Aug 2023 12:00:00 GMT", NOON),
        ("ms", None, None),
        ("ms", "NULL", None),
    ],
)
def test_formats(format, cell, expected):
    assert time_reader(check_time_format(format, "created_at.format"))(cell) == expected


@pytest.mark.parametrize(
    ("format", "cell"), [("s", "2021-01-01"), ("s", 10**15), ("iso", "1610120500000"), ("%Y", "x")]
)
def test_another_format_is_refused(format, cell):
    with pytest.raises(BadValue):
        time_reader(format)(cell)


@pytest.mark.parametrize("format", ["epoch", "%d/%m", "%Q %Y", 7, None])
def test_formats_that_there_are_not(format):
    with pytest.raises(SpecError, match=r"created_at.format is .* it takes s, ms, us or ns"):
        check_time_format(format, "created_at.format")


@given(st.datetimes(timezones=st.timezones() | st.none()))
def test_iso_comes_back(time):
    offset = time.utcoffset() or timedelta(0)
    if offset.total_seconds() % 60 == 0 and time.year not in (1, 9999):
        written = time.isoformat()
        expected = datetime.fromisoformat(written)
        assert moment(written) == (expected.replace(tzinfo=UTC) if expected.tzinfo is None else expected)


@given(st.integers() | st.floats() | st.decimals() | st.text(max_size=20) | st.from_regex(r"\d{1,20}", fullmatch=True))
def test_no_number_becomes_a_time_out_of_the_blue(cell):
    """Whatever is read as a time is a year, a day or a second that people write."""
    try:
        found = moment(cell)
    except BadValue:
        return
    assert found is None or not isinstance(cell, int | float) or len(str(int(cell))) in (4, 8, 10, 13, 14, 16, 19)
    assert found is None or not str(cell).isdecimal() or len(str(cell)) != 13 or found.year in range(2001, 2031)


@pytest.mark.parametrize(
    ("format", "cell", "reason"),
    [
        ("%d/%m/%Y", "12/31/2021", "is not written as its format %d/%m/%Y says"),
        ("s", "99999999999999", "is no time that counts s from 1970"),
        ("iso", "8 Aug 2023 14:00:00 +0200", "is not written as its format iso says"),
        ("iso", "\u0662\u0660\u0662\u0661-12-31", "is not written as its format iso says"),
    ],
)
def test_with_a_format_the_reason_names_it(format, cell, reason):
    with pytest.raises(BadValue) as caught:
        time_reader(format)(cell)
    assert str(caught.value) == reason
