"""A Pin's fields as pandas, pyarrow and MLflow hand them over; what cannot be read is named with its type."""

import base64
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pictures import encoded
from PIL import Image

from model.data.cleaning import clean, clean_column, clean_texts
from model.data.fields import CleanRow, UnreadableField, read_row

MISSING = [None, float("nan"), np.nan, np.float32("nan"), pd.NA, pd.NaT, Decimal("NaN"), pa.scalar(None, pa.string())]


@pytest.mark.parametrize("missing", MISSING, ids=repr)
@pytest.mark.parametrize("name", ["image", "title", "annotations", "query"])
def test_missing_is_missing(name, missing):
    assert read_row({name: missing}) == CleanRow(None, {}, "")


@pytest.mark.parametrize("image", [b"ab", bytearray(b"ab"), memoryview(b"ab"), np.bytes_(b"ab"), pa.scalar(b"ab")])
def test_bytes_of_any_kind(image):
    row = read_row({"image": image})
    assert (row.image, type(row.image)) == (b"ab", bytes)


@pytest.mark.parametrize(
    "annotations",
    [
        ["red", "chair"],
        ("red", "chair"),
        np.array(["red", "chair"]),
        np.array(["red", None, pd.NA, float("nan"), " chair", "red"], dtype=object),
        pa.array(["red", "chair", None]),
        pa.scalar(["red", "chair"]),
        pd.array(["red", "chair", pd.NA], dtype="string"),
        pd.array(["red", "chair"], dtype=pd.ArrowDtype(pa.string())),
        pd.Series(["red", None, "chair"], index=[7, 8, 9]),
        pd.Index(["red", "chair"]),
        pd.Categorical(["red", "chair"]),
        pa.chunked_array([["red"], ["chair"]]),
        "red, chair",
        np.str_("red, chair"),
    ],
    ids=lambda value: f"{type(value).__name__} of {len(value)}",
)
def test_lists_of_any_kind(annotations):
    assert read_row({"annotations": annotations}).texts == {"annotations": "red, chair"}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"title": 12}, "'title' is int; it takes a text."),
        ({"title": 1.5}, "'title' is float; it takes a text."),
        ({"title": b"red"}, "'title' is bytes; it takes a text."),
        ({"title": ["red"]}, "'title' is list; it takes a text."),
        ({"query": {"a": 1}}, "'query' is dict; it takes a text."),
        ({"image": "a.png"}, "'image' is str; it takes the bytes of an image file."),
        ({"title": pd.array(["red"], dtype="string")}, "'title' is list; it takes a text."),
        ({"query": pd.array([1, 2])}, "'query' is list; it takes a text."),
        ({"annotations": pd.array([1, 2])}, "'annotations[…]' is int; it takes a text."),
        ({"image": {"path": "a.png"}}, "'image' is dict; it takes the bytes of an image file."),
        ({"image": np.zeros(3)}, "'image' is list; it takes the bytes of an image file."),
        ({"annotations": {"red"}}, "'annotations' is set; it takes a list of texts, or one text."),
        ({"annotations": ["red", 7]}, "'annotations[…]' is int; it takes a text."),
        ({"annotations": [["red"]]}, "'annotations[…]' is list; it takes a text."),
    ],
)
def test_other_types_are_named(fields, sentence):
    with pytest.raises(UnreadableField) as caught:
        read_row(fields)
    assert str(caught.value) == sentence


def test_a_picture_as_hugging_face_holds_it():
    assert read_row({"image": {"bytes": bytearray(b"ab"), "path": None}}).image == b"ab"


def test_other_fields_are_not_looked_at():
    assert read_row({"title": "red", "price": object(), "pin_id": 7}).texts == {"title": "red"}


def test_halves_of_characters_are_taken_out():
    assert clean("red \ud83d chair\udc00") == "red chair"


def test_a_pin_is_cleaned_like_a_column():
    """Texts of one Pin, and the same in a catalogue's columns."""
    titles, lists = [" a\nb", "nan", None, "x" * 3000], [["a", "a\t", None, "null"], [], None, ["y" * 3000]]
    columns = clean_column(pa.array(titles)).to_pylist(), clean_column(pa.array(lists)).to_pylist()
    for title, annotations, *kept in zip(titles, lists, *columns, strict=True):
        found = clean_texts({"title": title, "annotations": annotations})
        assert found.get("title") == kept[0]
        assert found.get("annotations") == (", ".join(kept[1]) if kept[1] else None)


def test_bytes_that_json_holds_as_base64():
    picture = encoded(Image.new("RGB", (8, 8)), "PNG")
    written = base64.b64encode(picture).decode()
    assert (
        read_row({"image": written}).image == read_row({"image": f"data:image/png;base64,{written}"}).image == picture
    )
    with pytest.raises(UnreadableField, match="'image' is str"):
        read_row({"image": "data:image/png;base64,***"})
