"""A body that is refused is one sentence in the words of the request: its own fields, no names of pydantic's."""

import json

import pytest

from serving.service.messages import PinIn, PinsIn, RerankIn, SearchIn, TagsIn
from serving.service.reading import RequestRefused, parsed

CANDIDATES = [{"pin_id": "a", "utility": 1}]


def told(kind, body: bytes) -> str:
    with pytest.raises(RequestRefused) as refused:
        parsed(kind, body)
    assert refused.value.status == 422
    return refused.value.says


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        (SearchIn, {"txt": "a"}, "txt: no such field; its fields are: text, image, image_weight, k, filter."),
        (
            RerankIn,
            {"candidates": CANDIDATES, "weights": {"vector": 1}},
            "weights.vector: no such field; its fields are: visual, text, graph, semantic_id.",
        ),
        (
            RerankIn,
            {"candidates": [*CANDIDATES, {"pin_id": "b", "utility": 1, "u": 1}]},
            "candidates.1.u: no such field; its fields are: pin_id, utility.",
        ),
        (PinsIn, {"pins": [{"titel": 1}, {"pin_id": "b", "annotations": [1]}]}, "pins.0.pin_id: Field required."),
        (SearchIn, {"k": "10"}, "k: Input should be a valid integer."),
        (TagsIn, [1], "The body: Input should be an object."),
    ],
)
def test_the_field_is_named_and_what_there_is(kind, body, sentence):
    assert told(kind, json.dumps(body).encode()) == sentence


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"mni": 1}, "filter.price.mni: no such field; its fields are: min, max."),
        ({"Limits": 1}, "filter.price.Limits: no such field; its fields are: min, max."),
        ({"min": True}, "filter.price.min: Input should be a valid number or a valid string."),
        (["Limits", True], "filter.price.1: Input should be a valid string or a valid number."),
        (None, "filter.price: Input should be a valid string or a valid number or a valid array or an object."),
        ([], "filter.price: List should have at least 1 item after validation, not 0."),
    ],
)
def test_of_what_may_be_many_things_the_nearest_is_told(wanted, sentence):
    assert told(SearchIn, json.dumps({"text": "a", "filter": {"price": wanted}}).encode()) == sentence


def test_a_list_or_a_text():
    assert told(PinIn, b'{"pin_id": "a", "annotations": ["b", 1]}') == "annotations.1: Input should be a valid string."
    both = "annotations: Input should be a valid array or a valid string."
    assert told(PinIn, b'{"pin_id": "a", "annotations": 1}') == both


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The body is empty; send JSON."),
        (b'--x\r\nContent-Disposition: form-data; name="k"\r\n\r\n3\r\n--x--', "The body is a form; send JSON."),
        (b"-----1", "The body: Invalid JSON: invalid number at line 1 column 2."),
        (b"{1}", "The body: Invalid JSON: key must be a string at line 1 column 2."),
    ],
)
def test_what_is_no_json(body, sentence):
    assert told(TagsIn, body) == sentence


@pytest.mark.parametrize(("name", "shown"), [("", "''"), ("a\nb", r"'a\nb'"), ("größe", "größe")])
def test_a_name_that_would_not_be_seen_is_quoted(name, shown):
    assert told(TagsIn, json.dumps({name: 1}).encode()).startswith(f"{shown}: no such field")


def test_a_long_name_is_cut():
    assert told(TagsIn, json.dumps({"x" * 1_000: 1}).encode()).startswith("x" * 80 + ": no such field")
