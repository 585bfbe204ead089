"""Forgetting what frozen towers gave: the Pin's records go, all others stay byte for byte."""

import hashlib

import numpy as np
import torch

from components.forgetting.extracted import Extracted
from components.forgetting.pins import Pins
from components.settings import EXTRACTED, Settings
from model.extraction.records import Records, keys_of_hex, text_keys, write_part

PINS = Pins(("p1",), frozenset({"marked words"}), frozenset({"shared words"}), images=(b"marked pixels",))


def image_keys(*images: bytes) -> np.ndarray:
    return keys_of_hex([hashlib.sha256(image).hexdigest() for image in images])


def test_the_records_of_the_pin_go_and_all_others_stay(tmp_path):
    settings = Settings(home=tmp_path)
    images, texts = tmp_path / EXTRACTED / "images", tmp_path / EXTRACTED / "texts"
    values = torch.arange(6.0).view(3, 2).to(torch.bfloat16)
    write_part(images, "a", "images", image_keys(b"one", b"marked pixels", b"two"), values)
    write_part(texts, "a", "texts", text_keys(["shared words", "other", "marked words"]), values)
    write_part(texts, "b", "texts", text_keys(["marked words"]), values[:1])
    place = Extracted(settings)
    assert place.erase(PINS) == {"extracted/images/a": 1, "extracted/texts/a": 1, "extracted/texts/b": 1}
    assert sum(place.find(PINS).values()) == 0
    left = Records(images, "images", (2,))
    assert left.find(image_keys(b"one", b"two", b"marked pixels")).tolist() == [0, 1, -1]
    assert torch.equal(left.read([0, 1]), values[[0, 2]])
    said = Records(texts, "texts", (2,))
    assert torch.equal(said.read(said.find(text_keys(["shared words", "other"]))), values[:2])
    assert not (texts / "b").exists()
