"""Reads dates and times of a cell, in UTC. An ambiguous one is refused, and the reason says which format to write.

Without a format a cell may be a date or a time of Parquet, ISO 8601 (also `2021`, `2021-03`, `20230808T120000Z`,
`2021/03/04` and BigQuery's `2021-03-04 05:06:07 UTC`), an e-mail date (RFC 2822), or a count of 10, 13, 16 or 19
digits: seconds, milli-, micro- or nanoseconds since 1970, for times from 2001 to 2030 (2023080812 may be an hour).
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any

from model.sources.importer.spec.checks import wrong
from model.sources.importer.values.cells import BadValue, text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PER_SECOND = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
UNIT_OF_DIGITS = {10: "s", 13: "ms", 16: "us", 19: "ns"}
WRITTEN_FORMATS = ("iso", "rfc2822")
CLOCK = r"(?P<h>\d\d)(?::?(?P<mi>\d\d)(?::?(?P<s>\d\d)(?:[.,](?P<f>\d+))?)?)?"
ZONE = r"\s?(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?"
ISO = re.compile(
    rf"(?P<y>\d{{4}})(?:(?P<sign>[-/])(?P<mo>\d\d?)(?:(?P=sign)(?P<d>\d\d?)(?:[T ]{CLOCK}{ZONE})?)?)?",
    re.IGNORECASE | re.ASCII,
)
COMPACT = re.compile(
    rf"(?P<y>\d{{4}})(?P<mo>\d\d)(?P<d>\d\d)(?:T?(?P<h>\d\d)(?P<mi>\d\d)(?P<s>\d\d)(?:[.,](?P<f>\d+))?{ZONE})?",
    re.IGNORECASE | re.ASCII,
)
MAIL = re.compile(
    r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d(?::\d\d)? (?:[+-]\d{4}|GMT|UTC|UT|Z|[ECMP][SD]T)"
)
PLAIN = re.compile(r"(?!0000)\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d:\d\d(?:\.\d{6}|\.\d{3})?(?:Z|[+-]\d\d:\d\d)?)?")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
ZERO = re.compile(r"0000-00-00(?:[T ]00:00:00(?:\.0+)?)?")  # MySQL's mark of a missing date
AMBIGUOUS = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}\b.*")


def check_time_format(format: Any, where: str) -> str:
    """A format that `time_reader` takes.

    Raises:
        SpecError: another one, or a pattern of strptime without a year.
    """
    if format in (*PER_SECOND, *WRITTEN_FORMATS):
        return str(format)
    takes = "s, ms, us or ns (counted from 1970), iso, rfc2822, or a pattern with a year, e.g. '%d/%m/%Y'"
    if not isinstance(format, str) or not re.search("%[YyGcx]", format):
        wrong(where, format, takes)
    try:
        datetime.strptime(datetime(2001, 2, 3).strftime(format), format)
    except (ValueError, re.error):
        wrong(where, format, takes)
    return format


def time_reader(format: str | None) -> Callable[[Any], datetime | None]:
    """The reader of a column: `moment` without a format, else a reader of that format only."""
    if format is None:
        return moment
    if format in PER_SECOND:
        why = f"is no time that counts {format} from 1970"
        return lambda cell: _filled(cell, lambda written: _since_epoch(written, format), why)
    why = f"is not written as its format {format} says"
    if format == "iso":
        return lambda cell: _filled(cell, lambda written: _match(ISO, written) or _match(COMPACT, written), why)
    if format == "rfc2822":
        return lambda cell: _filled(cell, _mail, why)
    return lambda cell: _filled(cell, lambda written: datetime.strptime(written, format), why)


def moment(cell: Any) -> datetime | None:
    """The time, in UTC where the cell names no zone.

    Raises:
        BadValue: why it is none.
    """
    if type(cell) is str and PLAIN.fullmatch(cell):  # the usual one, at a tenth of the time
        try:
            return _utc(datetime.fromisoformat(cell))
        except ValueError:
            raise BadValue(_why(cell)) from None
    return _filled(cell, _guessed)


def _filled(cell: Any, read: Callable[[str], datetime | None], why: str | None = None) -> datetime | None:
    """`why` if given, else a reason that says which format to write."""
    if isinstance(cell, float) and math.isinf(cell):
        raise BadValue("is no time between the years 1 and 9999")
    if isinstance(cell, bool):
        raise BadValue("is no date")
    if isinstance(cell, date) and not isinstance(cell, datetime):
        cell = datetime(cell.year, cell.month, cell.day)
    if isinstance(cell, datetime):
        return _utc(cell)
    written = text(cell, marks=True)
    if written is None or ZERO.fullmatch(written):
        return None
    try:
        found = read(written)
    except (OverflowError, ValueError):
        found = None
    if found is None:
        raise BadValue(why or _why(written))
    return _utc(found)


def _utc(found: datetime) -> datetime:
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise BadValue("is no time between the years 1 and 9999") from None


def _guessed(written: str) -> datetime | None:
    whole, _, fraction = written.partition(".")
    if whole.isdecimal() and whole.isascii() and (fraction.isdecimal() or not fraction):
        unit = UNIT_OF_DIGITS.get(len(whole))
        if unit and whole < "19":
            return _since_epoch(written, unit)
    return _match(ISO, written) or _match(COMPACT, written) or _mail(written)


def _match(pattern: re.Pattern[str], written: str) -> datetime | None:
    found = pattern.fullmatch(written)
    if not found:
        return None
    part = {"mo": "1", "d": "1", "h": "0", "mi": "0", "s": "0"}
    part |= {name: value for name, value in found.groupdict().items() if value}
    micro = int(part.get("f", "0")[:6].ljust(6, "0"))
    year, month, day, hour, minute, second = (int(part[name]) for name in ("y", "mo", "d", "h", "mi", "s"))
    time = datetime(year, month, day, hour, minute, second, micro, tzinfo=UTC)
    return time - _offset(part.get("zone", "Z"))


def _offset(zone: str) -> timedelta:
    if zone[0] not in "+-":
        return timedelta(0)
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        raise ValueError
    offset = timedelta(hours=hours, minutes=minutes)
    return offset if zone[0] == "+" else -offset


def _mail(written: str) -> datetime | None:
    return parsedate_to_datetime(written) if MAIL.fullmatch(written) else None


def _since_epoch(written: str, unit: str) -> datetime | None:
    if not NUMBER.fullmatch(written):
        return None
    try:
        return EPOCH + timedelta(microseconds=int(Decimal(written) * 1_000_000 // PER_SECOND[unit]))
    except (InvalidOperation, OverflowError):
        return None


def _why(written: str) -> str:
    if NUMBER.fullmatch(written):
        return "holds numbers; write format: s, ms, us or ns if they count from 1970"
    if AMBIGUOUS.fullmatch(written):
        return "could be day or month first; write its format, e.g. '%d/%m/%Y'"
    return "is no date that can be read; write its format, e.g. '%d %B %Y'"
