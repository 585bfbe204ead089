"""A JPEG without its end marker is whole; one that ends earlier is not, however it was encoded."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import encoded, noise
from PIL import Image

from model.config import PrepareConfig
from model.data.images.decoding import UnreadableImage, image_facts, open_image, to_pixels
from model.data.images.jpeg import closed, lacks_end

KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True, "quality": 30},
    "full colour": {"subsampling": 0, "quality": 100},
    "restarts": {"restart_marker_blocks": 2},
}


def picture(kind: str, mode: str = "RGB", side: int = 40) -> bytes:
    smooth = noise(5, 5).resize((side, side), Image.Resampling.BICUBIC).convert(mode)
    return encoded(smooth, "JPEG", **KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("tail", [b"", b"\xff", b"\0" * 512])
def test_without_its_end_marker_it_is_whole(kind, mode, tail):
    data = picture(kind, mode)
    cut = data[:-2] + tail
    assert np.array_equal(open_image(cut), open_image(data))
    assert np.array_equal(to_pixels(cut, 8, PrepareConfig()), to_pixels(data, 8, PrepareConfig()))
    assert image_facts(cut).decodable


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_that_ends_early_is_truncated(kind):
    data = picture(kind)
    start = data.index(b"\xff\xda")
    for cut in range(start, len(data) - 12, 7):
        with pytest.raises(UnreadableImage, match="truncated"):
            open_image(data[:cut])


@pytest.mark.parametrize("kind", KINDS)
def test_a_download_that_stopped_and_was_filled_with_zeros_is_truncated(kind):
    data = picture(kind)
    with pytest.raises(UnreadableImage, match="truncated"):
        open_image(data[: len(data) * 9 // 10] + bytes(10_000))


def test_a_last_byte_of_ones_is_part_of_the_picture():
    """It is written FF 00, so what looks like padding is data."""
    sides = (encoded(noise(side, side), "JPEG") for side in range(8, 60))
    data = next(data for data in sides if data.endswith(b"\xff\0\xff\xd9"))
    for tail in (b"", bytes(100)):
        assert np.array_equal(open_image(data[:-2] + tail), open_image(data))


def test_a_progressive_file_that_stops_between_two_scans_is_truncated():
    data = picture("progressive")
    scans = [place for place in range(len(data)) if data[place : place + 2] == b"\xff\xda"]
    for place in scans[1:]:
        end = data.rindex(b"\xff\xc4", 0, place)  # its Huffman table stands before it
        with pytest.raises(UnreadableImage, match="truncated"):
            open_image(data[: min(place, end)])


@given(cut=st.integers(3, 60), kind=st.sampled_from(list(KINDS)))
def test_what_is_accepted_shows_the_whole_picture(cut, kind):
    data = picture(kind)
    try:
        found = open_image(data[:-cut])
    except UnreadableImage:
        return
    assert np.array_equal(found, open_image(data))


def test_a_thumbnails_end_marker_is_not_the_pictures():
    thumbnail = encoded(noise(8, 8), "JPEG")
    application = b"\xff\xe5" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = picture("baseline")
    data = data[:2] + application + data[2:]
    assert not lacks_end(data)
    assert lacks_end(data[:-2])
    assert np.array_equal(open_image(data[:-2]), open_image(data))
    with pytest.raises(UnreadableImage):
        open_image(data[: len(data) * 2 // 3])


def test_a_file_with_its_end_is_not_decoded_twice():
    data = picture("baseline")
    assert not lacks_end(data)
    assert not lacks_end(data + b"trailer of a telephone")
    assert closed(data[:-2]) == data


def test_an_adobe_cmyk_picture_has_the_colours_it_was_made_of():
    """Pillow writes CMYK as Adobe does: inverted, with its marker."""
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    data = encoded(red, "JPEG", quality=100)
    assert b"Adobe" in data
    assert np.asarray(open_image(data)).mean((0, 1)) == pytest.approx([255, 0, 0], abs=3)


@pytest.mark.parametrize("second", [b"", b"\xff\xd8\xff\xe0 cut"])
def test_a_second_picture_behind_the_first_does_not_matter(second):
    data = picture("baseline")
    assert np.array_equal(open_image(data + second), Image.open(io.BytesIO(data)))
