"""Reads a list of words from one cell: a list column, or a list written as text.

`["red lamp", "desk"]` (JSON), `['red lamp', 'desk']` (Python) and `['red lamp' 'desk']` (numpy) cannot be one
word, so they are read as lists; so are tuples, sets and PostgreSQL arrays whose items are all in quotes. Text like
`red lamp|desk` is split if the spec names the separator, and otherwise counted as suspicious.
"""

import ast
import json
import re
from typing import Any

from model.sources.importer.values.cells import BadValue, text

LIST_FORMATS = ("json", "python")
ITEM = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s,'"\[\]]+""", re.DOTALL)
QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
BARE_ITEM = re.compile(r"[^\s,]")
BARE = re.compile(r"None|nan|NaN|null|[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|True|False")
CUT = re.compile(r"\S\s?[|;,]\s?\S")


def texts(value: Any, separator: str | None = None, format: str | None = None) -> list[str]:
    """The words without blanks and repeats, order kept.

    Raises:
        BadValue: `format` is given and the text is no such list, or a word is no text.
    """
    if isinstance(value, str | bytes):
        parts = _written(text(value, marks=True), separator, format)
    else:
        parts = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(part for part in (text(part, marks=True) for part in parts) if part))


def looks_like_a_list(value: Any) -> bool:
    """Text that is read as one word although it seems to hold several."""
    if not isinstance(value, str):
        return False
    written = value.strip()
    bracketed = written[:1] + written[-1:] in ("[]", "{}", "()") and len(written) > 1
    return (bracketed and _literal(written) is None) or (not bracketed and CUT.search(written) is not None)


def _written(written: str | None, separator: str | None, format: str | None) -> list[Any]:
    if written is None:
        return []
    found = _json(written) if format == "json" else _literal(written)
    if found is not None:
        return found
    if format:
        raise BadValue(f"is no list in the format {format}")
    return written.split(separator) if separator else [written]


def _literal(written: str) -> list[Any] | None:
    """The list that JSON, Python or numpy has written; None where it is none of these."""
    if written.startswith("array(") and written.endswith(")"):
        written = re.sub(r"(, dtype=\S+)?\)$", "", written[len("array(") :]).strip()
    brackets = written[:1] + written[-1:]
    if brackets in ("()", "{}") and len(written) > 1 and not BARE_ITEM.search(QUOTED.sub("", written[1:-1])):
        return _python(written[1:-1])  # a tuple or a set of Python, or an array of PostgreSQL: all items in quotes
    if brackets != "[]" or len(written) < 2:
        return None
    found = _json(written)
    return _python(written[1:-1]) if found is None else found


def _json(written: str) -> list[Any] | None:
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, str):
        return [found]
    flat = isinstance(found, list) and not any(isinstance(part, list | dict) for part in found)
    return found if flat else None


def _python(body: str) -> list[Any] | None:
    """Items between commas or blanks. Not by ast alone: it would join numpy's 'red lamp' 'desk' to one word."""
    if re.sub(r"[\s,]", "", ITEM.sub("", body)):
        return None
    items = ITEM.findall(body)
    if any(item[0] not in "'\"" and not BARE.fullmatch(item) for item in items):
        return None
    try:
        return [ast.literal_eval(item) if item[0] in "'\"" else _bare(item) for item in items]
    except (ValueError, SyntaxError):
        return None


def _bare(item: str) -> str | None:
    return None if item in ("None", "nan", "NaN", "null") else item
