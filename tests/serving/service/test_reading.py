"""Requests as other programs write them: every form of a value is the Pin that prepare would leave."""

import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest
from served_pins import drawn

from model.config import PrepareConfig
from model.data.images.decoding import to_pixels
from serving.service.config import ServiceConfig
from serving.service.reading import RequestRefused, new_pin, pins_of

ENCODER = SimpleNamespace(limits=PrepareConfig(), image_size=32)
CONFIG = ServiceConfig()
PICTURE = base64.b64encode(drawn(4)).decode()


def read(**fields):
    body = json.dumps({"pins": [{"pin_id": "p", **fields}]}).encode()
    return new_pin(pins_of(body, "application/json", CONFIG)[0], ENCODER, CONFIG)


def form(*parts: tuple[str, bytes]):
    head = '--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
    body = b"".join((head % name).encode() + value + b"\r\n" for name, value in parts) + b"--x--\r\n"
    return new_pin(pins_of(body, "multipart/form-data; boundary=x", CONFIG)[0], ENCODER, CONFIG)


@pytest.mark.parametrize(
    "fields",
    [
        {"title": " te\u0301al\r\n", "annotations": ["a ", None, "", "null", "b", "a"]},
        {"title": "\ufefft\u00e9al\x00", "annotations": "a, b", "caption": "nan", "description": ""},
        {"title": "t\u00e9al\u2028", "annotations": ["a", "b"], "caption": None, "description": "\u2066 "},
    ],
)
@pytest.mark.parametrize(
    "image",
    [
        PICTURE,
        PICTURE.rstrip("="),
        PICTURE.translate(str.maketrans("+/", "-_")),
        "\r\n".join(PICTURE[i : i + 76] for i in range(0, len(PICTURE), 76)),
        f"data:image/png;base64,{PICTURE}",
    ],
)
def test_every_form_is_the_same_pin(fields, image):
    pin = read(**fields, image=image)
    assert pin.texts == {"title": "t\u00e9al", "annotations": "a, b"}
    assert np.array_equal(pin.pixels_SS3, to_pixels(drawn(4), 32))


@pytest.mark.parametrize("empty", [None, "", [], [None], ["null", " "]])
def test_empty_values_say_nothing(empty):
    pin = read(title="teal", annotations=empty, caption=None, description=" ", image=None)
    assert (pin.texts, pin.pixels_SS3) == ({"title": "teal"}, None)
    with pytest.raises(RequestRefused, match="neither image nor text"):
        read(annotations=empty)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"title": ["teal"]}, "pins.0.title"),
        ({"title": 7}, "pins.0.title"),
        ({"annotations": ["a", 7]}, "pins.0.annotations"),
        ({"title": "a", "image": "data:image/png;base64,"}, "cannot be used: empty"),
        ({"title": "a", "image": "images/1.png"}, "not base64|cannot be used"),
    ],
)
def test_other_types_are_refused(fields, says):
    with pytest.raises(RequestRefused, match=says):
        read(**fields)


def test_a_form_may_name_annotations_several_times():
    parts = [("pin_id", b"p"), ("title", " t\u00e9al".encode()), ("image", drawn(4))]
    for words in ([("annotations", b"a, b")], [("annotations", word) for word in (b"a", b"b", b"a", b"nan")]):
        pin = form(*parts, *words)
        assert pin.texts == {"title": "t\u00e9al", "annotations": "a, b"}
        assert np.array_equal(pin.pixels_SS3, to_pixels(drawn(4), 32))
    with pytest.raises(RequestRefused, match="The form names title twice; send it once"):
        form(*parts, ("title", b"red"))
