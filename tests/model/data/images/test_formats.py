"""A format is known by its first bytes; one that Pillow has no reader for says what to install."""

import importlib.util

import pytest
from pictures import encoded, noise

from model.config import PrepareConfig
from model.data.images.decoding import UnreadableImage, open_image
from model.data.images.formats import ENDINGS, FORMATS, MEDIA_TYPES, format_of, missing_reader

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "HEIF"])
def test_what_pillow_writes_is_known(name):
    assert format_of(encoded(noise(), name)) == name
    assert missing_reader(name) is None
    assert MEDIA_TYPES[name].startswith("image/")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (HEIC, "HEIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),  # one container: the other brands tell
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIF"),
        (b"II+\0\x08\0\0\0", "TIFF"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", None),  # a film
        (b"RIFF1234WAVE", None),
        (b"<svg/>", None),
        (b"", None),
    ],
)
def test_containers_and_other_files(data, name):
    assert format_of(data) == name


def test_endings_are_in_small_letters():
    assert {".jfif", ".jpe", ".tif", ".avif", ".heic"} < set(ENDINGS)
    assert all(ending == ending.lower() and ending.startswith(".") for ending in ENDINGS)


@pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is not None, reason="the optional reader is installed")
def test_without_the_optional_reader_the_reason_says_what_to_install():
    with pytest.raises(UnreadableImage, match=r"no reader for HEIF \(pip install pillow-heif\)"):
        open_image(HEIC)


def test_with_the_optional_reader_a_telephones_picture_is_read_upright():
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    picture = noise(2, 3).resize((48, 32))
    data = encoded(picture, "HEIF", quality=90)
    assert open_image(data).size == (48, 32)
    with pytest.raises(UnreadableImage, match="too many pixels"):
        open_image(data, PrepareConfig(max_image_pixels=1000))
    with pytest.raises(UnreadableImage, match="truncated"):
        open_image(data[: len(data) // 2])
