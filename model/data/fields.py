"""The fields of one Pin or query as other programs hand them over: pandas, pyarrow, Spark, MLflow, JSON.

read_row({"title": " A red\nchair", "annotations": np.array(["chair", None]), "image": bytearray(jpeg), "caption": nan})
->  CleanRow(image=jpeg, texts={"title": "A red chair", "annotations": "chair"}, query="")
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.data.catalogue import TEXT_SIGNALS
from model.data.cleaning import clean_query, clean_texts
from model.data.images.base64_images import decoded, looks_like_base64

FIELDS = ("image", *TEXT_SIGNALS, "query")


class UnreadableField(ValueError):
    """One sentence that names the field and the type."""

    def __init__(self, name: str, value: Any, takes: str) -> None:
        super().__init__(f"{name!r} is {type(value).__name__}; it takes {takes}.")


@dataclass(frozen=True)
class CleanRow:
    image: bytes | None
    texts: dict[str, str]  # clean, by signal; those that say nothing are left out
    query: str  # clean; "": none


def read_row(fields: Mapping[Any, Any]) -> CleanRow:
    """Reads the FIELDS of a row; it may have any others.

    Raises:
        UnreadableField: a value of a type that cannot be read.
    """
    texts = {name: _text(name, fields.get(name), takes_list=name == "annotations") for name in TEXT_SIGNALS}
    query = _text("query", fields.get("query"), takes_list=False)
    assert query is None or isinstance(query, str)
    return CleanRow(_image(fields.get("image")), clean_texts(texts), clean_query(query))


def _image(value: Any) -> bytes | None:
    value = _plain(value)
    if isinstance(value, dict) and value.get("bytes") is not None:  # as Hugging Face's tables hold pictures
        value = _plain(value["bytes"])
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if value is None:
        return None
    if isinstance(value, str) and looks_like_base64(value):  # bytes in JSON
        with suppress(ValueError):
            return decoded(value)
    raise UnreadableField("image", value, "the bytes of an image file")


def _text(name: str, value: Any, takes_list: bool) -> str | list[str | None] | None:
    value = _plain(value)
    if value is None or isinstance(value, str):
        return value
    if not takes_list:
        raise UnreadableField(name, value, "a text")
    if not isinstance(value, list | tuple):
        raise UnreadableField(name, value, "a list of texts, or one text")
    items = [_plain(item) for item in value]
    for item in items:
        if not (item is None or isinstance(item, str)):
            raise UnreadableField(f"{name}[…]", item, "a text")
    return items


def _plain(value: Any) -> Any:
    """Scalars and arrays of pyarrow, NumPy and pandas as Python's own; None where there is no value."""
    if as_py := getattr(value, "as_py", None):  # a scalar of pyarrow, which is not needed to read other values
        value = as_py()
    if isinstance(value, str | bytes | bytearray | memoryview):
        return value
    ways = (getattr(value, name, None) for name in ("to_pylist", "tolist"))
    as_list = next(filter(None, ways), None)
    if as_list is not None:
        value = as_list()
    return None if _is_missing(value) else value


def _is_missing(value: Any) -> bool:
    """None, pandas' NA, NaN or NaT; the last two do not equal themselves. An array is a value."""
    if value is None or type(value).__name__ == "NAType":
        return True
    unlike = value != value
    return isinstance(unlike, bool | np.bool_) and bool(unlike)
