"""Texts from strangers: one Unicode form, no control characters, no placeholder for "missing", no endless text.

clean("  Caf\\u0065\\u0301\\x00 con\\tleche ")  ->  "Café con leche"
clean("nan")                               ->  ""
"""

import re
import unicodedata

import pyarrow as pa

MAX_CHARACTERS = 2_000  # far beyond the text tower's context; longer texts are cut
# What data frames and databases write where a value is missing.
_MISSING = {"nan", "NaN", "<NA>", "None", "null", "NULL"}
# Control characters, replacement and byte-order marks, and the marks that turn the reading direction around. The joiner
# U+200D stays: emoji and many scripts need it.
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\ufffd\ufeff\u202a-\u202e\u2066-\u2069]")
REPLACEMENT = "\ufffd"  # stands where bytes were not UTF-8


def clean(text: str | None) -> str:
    """The text normalised (NFC, single spaces, at most MAX_CHARACTERS); "" where nothing is left. Idempotent."""
    if not text:
        return ""
    text = " ".join(_UNWANTED.sub(" ", unicodedata.normalize("NFC", text)).split())[:MAX_CHARACTERS].rstrip()
    return "" if text in _MISSING else text


def clean_column(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A string or list-of-string column cleaned; null where nothing is left, repeats in a list removed."""
    values = readable(column).to_pylist()
    if pa.types.is_list(column.type):
        return pa.array([_clean_list(texts) for texts in values], pa.list_(pa.string()))
    return pa.array([clean(text) or None for text in values], pa.string())


def readable(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The string or list-of-string column with REPLACEMENT where bytes are not UTF-8.

    Parquet readers check nothing; without this the first look at such a value in Python raises.
    """
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        raw = pa.list_(pa.binary()) if pa.types.is_list(column.type) else pa.binary()
        return pa.array([_decoded(value) for value in column.cast(raw).to_pylist()], column.type)
    return column


def _decoded(value: bytes | list | None) -> str | list | None:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return None if value is None else value.decode("utf-8", errors="replace")


def _clean_list(texts: list[str | None] | None) -> list[str] | None:
    kept = dict.fromkeys(clean(text) for text in texts or ())
    return [text for text in kept if text] or None
