"""What is not the picture does not decide whether a PNG is read; what is transparent stays transparent."""

import io
import struct
import zlib

import numpy as np
import pytest
from pictures import chunk, encoded, noise, png, with_chunks
from PIL import Image, ImageOps, PngImagePlugin

from model.data.images.decoding import UnreadableImage, image_facts, open_image
from model.data.images.png import without_metadata

PLAIN = encoded(noise(), "PNG")
LONG = zlib.compress(bytes(3_000_000))
XMP = b"XML:com.adobe.xmp\0%b\0\0"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6


@pytest.mark.parametrize(
    "metadata",
    [
        chunk(b"zTXt", b"workflow\0\0" + LONG),
        chunk(b"iTXt", b"workflow\0\1\0\0\0" + LONG),
        chunk(b"iTXt", XMP % b"\1\0" + LONG),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + LONG),
        chunk(b"tEXt", b"prompt\0" + bytes(3_000_000)),
        chunk(b"iCCP", b"profile\0\0" + LONG),
        chunk(b"zTXt", b"prompt\0\7" + LONG),  # no such way of compression
        chunk(b"tEXt", b"prompt\0a cat", checksum=0),
        chunk(b"pHYs", b"\0", checksum=0),
        chunk(b"gAMA", b"", checksum=7),
        chunk(b"zTXt", b"") * 3,
        *(chunk(b"tEXt", b"number %d\0" % i + bytes(900_000)) for i in range(2)),
    ],
)
@pytest.mark.parametrize("is_behind", [False, True])
def test_metadata_is_no_damage(metadata, is_behind):
    data = PLAIN[:-12] + metadata + PLAIN[-12:] if is_behind else with_chunks(PLAIN, metadata)
    assert np.array_equal(open_image(data), noise())
    assert image_facts(data).bytes == len(data)


def test_a_hundred_long_texts_are_not_unpacked():
    many = [chunk(b"zTXt", b"text %d\0\0" % i + zlib.compress(bytes(1_000_000))) for i in range(100)]
    assert np.array_equal(open_image(with_chunks(PLAIN, *many)), noise())


def test_a_text_behind_the_picture_may_be_cut():
    data = PLAIN[:-12] + chunk(b"tEXt", b"prompt\0" + bytes(1000))
    assert np.array_equal(open_image(data[:-500]), noise())


def test_the_picture_itself_is_still_checked():
    place = PLAIN.index(b"IHDR") + 17  # its checksum
    for data in (
        PLAIN[:place] + b"\0\0\0\0" + PLAIN[place + 4 :],
        PLAIN[: len(PLAIN) // 2],
        with_chunks(PLAIN[:33]),
        PLAIN[:8] + chunk(b"tRNS"),
    ):
        with pytest.raises(UnreadableImage, match="truncated"):
            open_image(data)


def test_pillows_limits_are_left_alone():
    before = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    open_image(with_chunks(PLAIN, chunk(b"zTXt", b"workflow\0\0" + LONG)))
    assert before == (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)


@pytest.mark.parametrize("kind", ["eXIf", "iTXt", "iTXt packed", "zTXt"])
def test_whatever_tells_which_way_is_up_is_kept(kind):
    """Pillow's own exif_transpose is the reference."""
    exif = Image.Exif()
    exif[0x0112] = 6
    xmp = b'<x tiff:Orientation="6"/>'
    raw = b"\nexif\n      99\n" + exif.tobytes().hex().encode() + b"\n"
    told = {
        "eXIf": chunk(b"eXIf", exif.tobytes()[6:]),
        "iTXt": chunk(b"iTXt", XMP % b"\0\0" + xmp),
        "iTXt packed": chunk(b"iTXt", XMP % b"\1\0" + zlib.compress(xmp)),
        "zTXt": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw)),
    }[kind]
    data = with_chunks(PLAIN, told)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert expected.size == (24, 20)
    assert np.array_equal(open_image(data), expected)


def test_a_plain_file_stays_as_it_is():
    assert without_metadata(PLAIN) == PLAIN


def transparent(value: int, channels: int = 1) -> bytes:
    return chunk(b"tRNS", struct.pack(f">{channels}H", *[value] * channels))


@pytest.mark.parametrize(
    ("bits", "row", "hole"),
    [(1, b"\x0f", 0), (2, b"\x55\xff", 1), (4, b"\x77\x77\xff\xff", 7), (8, b"\x20" * 4 + b"\xff" * 4, 0x20),
     (16, b"\x20\x01" * 4 + b"\xff\xff" * 4, 0x2001)],
)  # fmt: skip
def test_transparent_grey_lies_on_white_at_any_depth(bits, row, hole):
    data = png([row] * 8, 8, bits, GREY)
    assert np.asarray(open_image(data)).min() < 128
    holed = png([row] * 8, 8, bits, GREY, before=transparent(hole))
    assert np.asarray(open_image(holed)).min() == 255


def test_one_of_the_16_bit_colours_is_transparent_and_its_neighbours_are_not():
    pixels = [(0, 0, 0)] * 4 + [(0, 0, 200)] * 4  # equal in their high bytes
    row = b"".join(struct.pack(">3H", *pixel) for pixel in pixels)
    picture = np.asarray(open_image(png([row] * 8, 8, 16, RGB, before=transparent(0, 3))))
    assert (picture[:, :4] == 255).all()
    assert (picture[:, 4:] == 0).all()


@pytest.mark.parametrize(("colours", "channels"), [(GREY_ALPHA, 1), (RGB_ALPHA, 3)])
def test_alpha_of_16_bits_is_alpha(colours, channels):
    solid, hole = (b"\x30\x00" * channels + alpha for alpha in (b"\xff\xff", b"\0\0"))
    picture = np.asarray(open_image(png([solid * 4 + hole * 4] * 8, 8, 16, colours)))
    assert (picture[:, :4] == 0x30).all()
    assert (picture[:, 4:] == 255).all()


@pytest.mark.parametrize("alphas", [b"\0", b"\0\xff", b"\0\x80", b"\xff\0"])
def test_palettes_with_transparency(alphas):
    palette = chunk(b"PLTE", bytes((255, 0, 0, 0, 0, 255)))
    picture = open_image(png([b"\0\1" * 4] * 8, 8, 8, PALETTE, before=palette + chunk(b"tRNS", alphas)))
    for place, colour in enumerate(np.array([(255, 0, 0), (0, 0, 255)])):
        alpha = (alphas[place] if place < len(alphas) else 255) / 255
        assert np.asarray(picture)[0, place] == pytest.approx(alpha * colour + (1 - alpha) * 255, abs=1)


def test_a_transparency_too_short_to_mean_anything_is_left_out():
    row = bytes(3 * 8)
    picture = open_image(png([row] * 8, 8, 8, RGB, before=chunk(b"tRNS", b"\0")))
    assert np.asarray(picture).max() == 0


def test_16_bits_are_scaled_and_not_clipped():
    row = b"".join(struct.pack(">H", value) for value in (0, 255, 256, 0x8000, 0xFFFF, 0, 0, 0))
    picture = np.asarray(open_image(png([row] * 8, 8, 16, GREY)))
    assert picture[0, :5, 0].tolist() == [0, 0, 1, 128, 255]
