"""Texts from strangers: one Unicode form, no control characters, no placeholder for "missing", no endless text.

Every text on its way to a text tower passes through here: those of a catalogue in the prepare step, those of a
registered model's `predict`, of the service and of the ONNX graphs when they are asked.

clean("  Caf\\u0065\\u0301\\x00 con\\tleche ")  ->  "Café con leche"
clean("nan")                               ->  ""
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from model.data.catalogue import TEXT_SIGNALS, joined_texts
from model.data.ids import id_refusal

MAX_CHARACTERS = 2_000  # far beyond the text tower's context; longer texts are cut
# What data frames and databases write where a value is missing.
_MISSING_QUERY = {"nan", "NaN", "<NA>"}  # somebody may search for the other words
_MISSING = _MISSING_QUERY | {"None", "null", "NULL"}
# Control characters, replacement and byte-order marks, halves of a character (surrogates), and the marks that turn the
# reading direction around. The joiner U+200D stays: emoji and many scripts need it.
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\ufffd\ufeff\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
REPLACEMENT = "\ufffd"  # stands where bytes were not UTF-8
RawTexts = Mapping[str, str | Sequence[str | None] | None]  # of a Pin, by signal, as they came


def clean(text: str | None) -> str:
    """The text normalised (NFC, single spaces, at most MAX_CHARACTERS); "" where nothing is left. Idempotent."""
    text = _normalised(text)
    return "" if text in _MISSING else text


def clean_query(text: str | None) -> str:
    """What is searched for, cleaned alike; `null` and `None` are words there."""
    text = _normalised(text)
    return "" if text in _MISSING_QUERY else text


def clean_texts(named: RawTexts) -> dict[str, str]:
    """A Pin's texts by signal, as the encoder reads them: clean, a list joined, without those that say nothing.

    What clean_column makes of the same values in a catalogue, joined by joined_texts, is the same.
    """
    texts = {name: _clean_value(named[name]) for name in TEXT_SIGNALS if name in named}
    joined = joined_texts(list(texts.values()))
    return {name: text for name, text in zip(texts, joined, strict=True) if text}


def clean_queries(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A string column of queries cleaned; null where nothing is left."""
    return pa.array([clean_query(value) or None for value in readable(column).to_pylist()], pa.string())


def clean_column(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A string or list-of-string column cleaned; null where nothing is left, repeats in a list removed."""
    kind = pa.list_(pa.string()) if pa.types.is_list(column.type) else pa.string()
    return pa.array([_clean_value(value) for value in readable(column).to_pylist()], kind)


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


def unusable(ids: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Where an id is null, blank, was not UTF-8 or is refused (model/data/ids.py)."""
    known = pc.unique(ids)
    bad = [not one or not one.strip() or REPLACEMENT in one or bool(id_refusal(one)) for one in known.to_pylist()]
    return pc.is_in(ids, value_set=known.filter(pa.array(bad, pa.bool_())))


def _normalised(text: str | None) -> str:
    if not text:
        return ""
    return " ".join(_UNWANTED.sub(" ", unicodedata.normalize("NFC", text)).split())[:MAX_CHARACTERS].rstrip()


def _decoded(value: bytes | list | None) -> str | list | None:
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    return None if value is None else value.decode("utf-8", errors="replace")


def _clean_value(value: str | Sequence[str | None] | None) -> str | list[str] | None:
    """A text or a list without repeats; None where nothing is left."""
    if value is None or isinstance(value, str):
        return clean(value) or None
    kept = dict.fromkeys(clean(text) for text in value)
    return [text for text in kept if text] or None
