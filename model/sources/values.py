"""One cell of a user's table as a catalogue value; a cell that does not fit raises BadValue with the reason.

Parquet hands over typed values, CSV strings; both come through the same functions. None, NaN, "nan" and blank text
are all "no value".
"""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

MISSING = ("", "nan", "NaN")
YES = ("true", "t", "yes", "y", "1")
NO = ("false", "f", "no", "n", "0")


class BadValue(ValueError):
    """Why a row is refused; generic (no cell contents), so that equal reasons count together."""


def text(value: Any) -> str | None:
    """Trimmed text. Numbers as a reader would write them: an id that pandas made 12.0 is "12" again."""
    if isinstance(value, bytes | str):
        value = _utf8(value).strip()
        return None if value in MISSING else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float | Decimal):
        return str(value)
    if isinstance(value, date):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, list):
        return ", ".join(texts(value)) or None
    raise BadValue("is no text")


def texts(value: Any, separator: str | None = None) -> list[str]:
    """A list cell, or one string cut at `separator`, without blanks and repeats, order kept."""
    if isinstance(value, list):
        parts = value
    else:
        whole = text(value) or ""
        parts = whole.split(separator) if separator else [whole]
    return list(dict.fromkeys(part for part in map(text, parts) if part))


def moment(value: Any) -> datetime | None:
    """A date or a time, in UTC where the cell names no zone."""
    try:
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        if not isinstance(value, datetime):
            written = text(value)
            if written is None:
                return None
            value = datetime.fromisoformat(written)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except BadValue:
        raise
    except (ValueError, OverflowError):
        raise BadValue("is no ISO 8601 date") from None


def flag(value: Any) -> bool | None:
    written = text(value)
    if written is None:
        return None
    if written.lower() in YES:
        return True
    if written.lower() in NO:
        return False
    raise BadValue("is neither true nor false")


def number(value: Any) -> float | None:
    written = text(value)
    if written is None:
        return None
    try:
        parsed = float(written)
    except ValueError:
        raise BadValue("is no number") from None
    if not math.isfinite(parsed):
        raise BadValue("is no finite number")
    return parsed


def count(value: Any) -> int | None:
    """A whole number of at least 1 (a Pin with no clicks is no answer to its query)."""
    parsed = number(value)
    if parsed is None:
        return None
    if parsed < 1 or parsed != int(parsed) or parsed >= 2**53:
        raise BadValue("is no whole number of at least 1")
    return int(parsed)


def _utf8(value: bytes | str) -> str:
    """CSV cells come with undecodable bytes as surrogates, Parquet cells that are no UTF-8 as bytes."""
    try:
        if isinstance(value, bytes):
            return value.decode("utf-8")
        if not value.isascii():
            value.encode("utf-8")
        return value
    except UnicodeError:
        raise BadValue("is no UTF-8 text") from None
