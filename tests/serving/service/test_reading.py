"""Requests as other programs write them: every form of a value is the Pin that prepare would leave."""

import base64
import json
import time
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from served_pins import drawn

from model.config import PrepareConfig
from model.data.images.decoding import to_pixels
from serving.service.config import ServiceConfig
from serving.service.json_size import has_more
from serving.service.reading import RequestRefused, new_pin, pins_of

ENCODER = SimpleNamespace(limits=PrepareConfig(), image_size=32)
CONFIG = ServiceConfig()
PICTURE = base64.b64encode(drawn(4)).decode()


def read(**fields):
    body = json.dumps({"pins": [{"pin_id": "p"} | fields]}).encode()
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
    assert np.array_equal(pin.pixels_SS3, to_pixels(drawn(4), 32, PrepareConfig()))


@pytest.mark.parametrize("empty", [None, "", [], [None], ["null", " "]])
def test_empty_values_say_nothing(empty):
    pin = read(title="teal", annotations=empty, caption=None, description=" ", image=None)
    assert (pin.texts, pin.pixels_SS3) == ({"title": "teal"}, None)
    with pytest.raises(RequestRefused, match="neither image nor text"):
        read(annotations=empty)


def test_fields_of_a_form_that_were_left_empty_say_nothing():
    empty = [(name, b"") for name in ("caption", "annotations", "image", "time")]
    pin = form(("pin_id", b"p"), ("title", b"teal"), *empty)
    assert (pin.texts, pin.pixels_SS3) == ({"title": "teal"}, None)
    with pytest.raises(RequestRefused, match="pin_id"):
        form(("pin_id", b""), ("title", b"teal"))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"title": ["teal"]}, "pins.0.title"),
        ({"title": 7}, "pins.0.title"),
        ({"annotations": ["a", 7]}, "pins.0.annotations"),
        ({"title": "a", "image": "data:image/png;base64,"}, "cannot be used: empty"),
        ({"title": "a", "image": "images/1.png"}, "not base64|cannot be used"),
        ({"title": "a", "time": "0001-01-01T00:00:00Z"}, "time of Pin 'p' is before 1970"),
        ({"title": "a", "time": "0001-01-01T00:00:00+14:00"}, "time of Pin 'p' is before 1970"),
        ({"title": "a", "time": "9999-12-31T23:59:59-14:00"}, "time of Pin 'p' is in the future"),
        ({"title": "a", "time": 0}, "A time is text"),
        ({"title": "a", "annotations": ["a"] * 1001}, "at most 1000 items"),
        ({"title": "a", "pin_id": "a\nb"}, "pins.0.pin_id"),
        ({"title": "a", "pin_id": "a\u2028b"}, "pins.0.pin_id"),
        ({"title": "a", "pin_id": "\x7f"}, "pins.0.pin_id"),
        ({"title": "a", "pin_id": "a/../b"}, "has a part . or .."),
        ({"title": "a", "pin_id": "x" * 513}, "at most 512 characters"),
    ],
)
def test_what_is_out_of_range_is_refused(fields, says):
    with pytest.raises(RequestRefused, match=says):
        read(**fields)


def test_a_form_may_name_annotations_several_times():
    parts = [("pin_id", b"p"), ("title", " t\u00e9al".encode()), ("image", drawn(4))]
    for words in ([("annotations", b"a, b")], [("annotations", word) for word in (b"a", b"b", b"a", b"nan")]):
        pin = form(*parts, *words)
        assert pin.texts == {"title": "t\u00e9al", "annotations": "a, b"}
        assert np.array_equal(pin.pixels_SS3, to_pixels(drawn(4), 32, PrepareConfig()))
    with pytest.raises(RequestRefused, match="The form names title twice; send it once"):
        form(*parts, ("title", b"red"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"pins":[' + b"{}," * 3_000_000 + b"{}]}", "more than 20,000 values"),
        (b'{"pins":' + b"[" * 5_000_000, "more than 20,000 values"),
        (b'"",' * 3_000_000, "more than 20,000 values"),
        (b'{"pins":' + b"[" * 19_000, "Invalid JSON"),
        (b'{"pins":[' + b"{}," * 6_000 + b"{}]}", "pins.0.pin_id"),
    ],
)
def test_a_body_of_many_values_is_refused_before_they_are_built(body, says):
    tracemalloc.start()
    with pytest.raises(RequestRefused, match=says):
        pins_of(body, "application/json", CONFIG)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("text", ["", ",[{", '"', "\\", '\\",[', "é\n", "\\\\", '""', "x" * 300 + '\\"' + "y" * 300])
def test_what_is_in_strings_is_not_counted(text):
    """Three signs: { and two commas."""
    for escaped in (True, False):
        body = json.dumps({"a": text, "b": 1, text + "c": text}, ensure_ascii=escaped).encode()
        assert not has_more(body, 4)
        assert has_more(body, 2)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"--x\r\n\r\n", "cut off"),
        (b"--x\r\nA: b\r\n\r\na\r\n--x--", "without a name"),
        (b"", "does not begin"),
        (b"--x" + b"\r\n\r\n\r\n--x" * 200 + b"--", "without a name"),
        (
            b"--x" + b'\r\nContent-Disposition: form-data; name="annotations"\r\n\r\na\r\n--x' * 200 + b"--",
            "more than 128",
        ),
        (b"--x\r\n" + b"A: b\r\n" * 1_000_000 + b"\r\na\r\n--x--", "longer than 4,096"),
        (b"--x\r\n" + b"\n" * 10_000_000, "cut off"),
    ],
)
def test_a_form_costs_what_its_bytes_cost(body, says):
    started = time.process_time()
    with pytest.raises(RequestRefused, match=says):
        pins_of(body, "multipart/form-data; boundary=x", CONFIG)
    assert time.process_time() - started < 1
    with pytest.raises(RequestRefused, match="no boundary"):
        pins_of(body, "multipart/form-data", CONFIG)
