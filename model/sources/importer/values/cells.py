"""One cell of a user's table as a catalogue value; a cell that does not fit raises BadValue with the reason.

Parquet gives typed values and CSV gives strings; the same functions read both. None, NaN, "nan", `\\N`, `<NA>` and
blank text mean "no value" everywhere. NULL, None and similar words mean it only for the columns that pass `marks`: a
query may be the word `null`, a board cannot.
"""

import math
import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from model.data.ids import id_refusal

MISSING = frozenset(("", "nan", "NaN", "\\N", "<NA>"))
MARKS = MISSING | {
    "NULL", "null", "Null", "None", "<null>", "<NULL>", "(null)", "NaT", "-nan", "-NaN", "N/A", "n/a", "#N/A"
}  # fmt: skip
YES = ("true", "t", "yes", "y", "1")
NO = ("false", "f", "no", "n", "0")
LONGEST = 76  # digits of Arrow's widest decimal
EXACT = 2**53  # larger floats are not exact whole numbers
TOO_LARGE = "is a number too large for its floating-point column; export the column as text or integers"
WRITTEN_FLOAT = re.compile(r"-?(\d{16})\.0")  # by pandas; a decimal has more zeros, a larger float an exponent
INVISIBLE = "\ufeff\u200b"  # the mark at the start of a file, the blank without width: at the ends of an id


class Narrow(float):
    """A number of a 16- or 32-bit float column that is too large to be exact."""


class Shortened(datetime):
    """A time that lost its nanoseconds, so that two different ones may look equal."""


class BadValue(ValueError):
    """Why a row is refused; generic (no cell contents), so that equal reasons count together."""


def text(value: Any, marks: bool = False) -> str | None:
    """Trimmed text. Numbers as a reader would write them: an id that pandas made 12.0 is "12" again."""
    if isinstance(value, bytes | str):
        value = _utf8(value).strip()
        return None if value in (MARKS if marks else MISSING) else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | Decimal):
        return _number(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Shortened):
        raise BadValue("is a time with nanoseconds; export the column as text or integers")
    if isinstance(value, date):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, list):
        parts = [text(part, marks) for part in value]
        return ", ".join(dict.fromkeys(part for part in parts if part)) or None
    raise BadValue("is no text")


def identifier(value: Any, marks: bool = False) -> str | None:
    """The id of a Pin or a board: a text or a number, no list."""
    if isinstance(value, list):
        raise BadValue("is a list")
    written = text(value, marks)
    if written is None:
        return None
    written = written.strip(INVISIBLE)
    if refused := id_refusal(written):
        raise BadValue(refused)
    whole = WRITTEN_FLOAT.fullmatch(written)
    if whole and int(whole[1]) >= EXACT:
        raise BadValue(TOO_LARGE)
    return written or None


def word(value: Any, marks: bool = True) -> str | None:
    """A name that rows share (board, group, slice, query): in one Unicode form, NFC."""
    written = text(value, marks)
    return written if written is None or written.isascii() else unicodedata.normalize("NFC", written)


def flag(value: Any) -> bool | None:
    written = text(value, marks=True)
    if written is None:
        return None
    if written.lower() in YES:
        return True
    if written.lower() in NO:
        return False
    raise BadValue("is neither true nor false")


def number(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):  # text refuses floats that are no exact key
        parsed = float(value)
        if math.isnan(parsed):
            return None
    else:
        written = text(value, marks=True)
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
    if parsed < 1 or parsed != int(parsed):
        raise BadValue("is no whole number of at least 1")
    if parsed >= EXACT:
        raise BadValue("is larger than 2^53")
    return int(parsed)


def named(name: str, read: Callable[[Any], Any], cell: Any) -> Any:
    """`read(cell)`; the reason of a refusal names the catalogue column."""
    try:
        return read(cell)
    except BadValue as bad:
        raise BadValue(f"{name} {bad}") from None


def _number(value: float | Decimal) -> str | None:
    """One spelling for equal numbers: Decimal("100.000"), 100.0 and 100 all become "100"."""
    if isinstance(value, Decimal) and value.is_nan():
        return None
    if not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)):
        raise BadValue("is no finite number")
    if isinstance(value, Decimal) and value.adjusted() > LONGEST:
        raise BadValue("is a number of too many digits")
    if isinstance(value, Narrow) or (isinstance(value, float) and abs(value) >= EXACT):
        raise BadValue(TOO_LARGE)
    if value == int(value):
        return str(int(value))
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _utf8(value: bytes | str) -> str:
    """Refuses invalid UTF-8, which CSV cells hold as surrogates and Parquet cells as bytes."""
    try:
        if isinstance(value, bytes):
            return value.decode("utf-8")
        if not value.isascii():
            value.encode("utf-8")
        return value
    except UnicodeError:
        raise BadValue("is no UTF-8 text") from None
