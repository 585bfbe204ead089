"""Bytes from strangers: every broken image is refused with a reason, every good one comes out upright RGB."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import chunk, encoded, noise
from PIL import Image, ImageOps

from model.config import PrepareConfig
from model.data.images.decoding import UnreadableImage, image_facts, open_image, to_pixels

LIMITS = PrepareConfig()


def bomb(width: int, height: int) -> bytes:
    """A PNG of 70 bytes whose header claims width x height."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def reason(data: bytes, limits: PrepareConfig = LIMITS) -> str:
    with pytest.raises(UnreadableImage) as raised:
        open_image(data, limits)
    assert image_facts(data, limits).reason == raised.value.reason
    return raised.value.reason


FORMATS = ["PNG", "BMP", "GIF", "WEBP", "JPEG", "AVIF", "TIFF"]


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_is_read(format):
    data = encoded(noise(), format)
    image = open_image(data)
    facts = image_facts(data)
    assert (image.mode, image.size) == ("RGB", (20, 24))
    assert (facts.decodable, facts.reason, facts.format) == (True, None, format)
    assert (facts.width, facts.height, facts.bytes) == (20, 24, len(data))


@pytest.mark.parametrize("format", FORMATS)
def test_cut_anywhere_it_is_refused(format):
    data = encoded(noise(), format)
    # The last bytes of PNG and GIF are checksums and end marks: there all pixels are present.
    for cut in range(16, len(data) - 30, 13):
        assert reason(data[:cut]) == "truncated"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"GIF", "unknown format"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown format"),
        (encoded(noise(), "PPM"), "unknown format"),
        (encoded(noise(), "JPEG2000"), "unknown format"),
        (bomb(60_000, 60_000), "too many pixels"),
        (bomb(10_000, 10_000), "too many pixels"),  # between Pillow's warning and its error
        (bomb(7_000, 7_000), "too many pixels"),  # below Pillow's limits, above ours
        (bomb(100, 100), "truncated"),
        (bomb(0, 0), "too small"),
        (bomb(0, 100), "too small"),
        (b"BM" + bytes(8) + b"\x36\0\0\0\x28\0\0\0" + bytes(4) + b"\x09\0\0\0\1\0\x18\0" + bytes(24), "too small"),
        (b"BM" + bytes(10), "truncated"),
        (encoded(noise(7, 20), "PNG"), "too small"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_reasons(data, expected):
    assert reason(data) == expected


def test_limits_come_from_the_configuration():
    data = encoded(noise(), "PNG")
    assert reason(data, PrepareConfig(max_image_bytes=len(data) - 1)) == "too many bytes"
    assert reason(data, PrepareConfig(max_image_pixels=20 * 24 - 1)) == "too many pixels"
    assert reason(data, PrepareConfig(min_image_side=21)) == "too small"
    assert open_image(data, PrepareConfig(len(data), 20 * 24, 20)).size == (20, 24)


def test_a_refused_image_keeps_the_facts_of_its_header():
    data = encoded(noise(), "PNG")
    facts = image_facts(data[: len(data) // 2])
    assert (facts.format, facts.width, facts.height, facts.brightness) == ("PNG", 20, 24, None)


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF"])
)
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise_anything_else(tail, beginning):
    facts = image_facts(beginning + tail)
    assert facts.decodable == (facts.reason is None)


def test_transparency_lies_on_white():
    image = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 8, 16))
    for data in (encoded(image, "PNG"), encoded(image, "WEBP", lossless=True), encoded(image.quantize(), "PNG")):
        picture = open_image(data)
        assert picture.getpixel((4, 4)) == (0, 0, 255)
        assert picture.getpixel((12, 4)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_modes_keep_their_brightness(mode):
    grey = noise().convert("L")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)  # 16 bits a pixel
    image = wide if mode == "I;16" else grey.convert(mode)
    picture = np.asarray(open_image(encoded(image, "PNG")))
    assert picture.mean() == pytest.approx(np.asarray(grey).mean(), abs=3)


def test_cmyk_and_grey_jpegs_are_read():
    assert open_image(encoded(noise().convert("CMYK"), "JPEG")).mode == "RGB"
    assert open_image(encoded(noise().convert("L"), "JPEG")).mode == "RGB"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_exif_orientation_is_applied_once(format, orientation):
    """Pillow's own exif_transpose is the reference."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(noise(16, 32), format, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(np.asarray(open_image(data)), np.asarray(expected))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_broken_exif_is_no_broken_picture():
    data = encoded(noise(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert open_image(data).size == (20, 24)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_an_animation_shows_its_first_frame(format):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    assert open_image(data).getpixel((3, 3)) == pytest.approx((255, 0, 0), abs=2)


def test_pixels_are_a_squeezed_square():
    left_black = Image.new("RGB", (40, 20), "white")
    left_black.paste("black", (0, 0, 20, 20))
    pixels = to_pixels(encoded(left_black, "PNG"), 8, LIMITS)
    assert (pixels.shape, pixels.dtype) == ((8, 8, 3), np.uint8)
    assert (pixels[:, :3] == 0).all()
    assert (pixels[:, 5:] == 255).all()


def test_a_large_jpeg_as_a_draft_is_nearly_the_full_decode():
    smooth = noise(6, 8).resize((1600, 1200), Image.Resampling.BICUBIC)
    data = encoded(smooth, "JPEG", quality=90)
    full = np.asarray(open_image(data).resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(to_pixels(data, 32, LIMITS) - full).mean() < 2


def test_brightness_and_contrast_by_hand():
    halves = Image.new("L", (64, 64), 255)
    halves.paste(0, (0, 0, 32, 64))
    facts = image_facts(encoded(halves, "PNG"))
    assert facts.brightness == pytest.approx(0.5)
    assert facts.contrast == pytest.approx(0.5)
