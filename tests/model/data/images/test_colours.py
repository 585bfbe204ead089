"""Grey of more than 8 bits is scaled, never clipped; what is transparent lies on white."""

import numpy as np
import pytest
from pictures import encoded
from PIL import Image

from model.data.images.colours import as_rgb, wide_as_rgb
from model.data.images.decoding import open_image

RAMP = np.linspace(0, 1, 64).reshape(8, 8)


def grey(values: np.ndarray) -> np.ndarray:
    return np.asarray(as_rgb(Image.fromarray(values)))[..., 0].astype(int)


@pytest.mark.parametrize(
    ("values", "tolerance"),
    [
        ((RAMP * 65535).astype(np.uint16), 1),
        ((RAMP * 65535).astype(np.int32), 1),
        ((RAMP * (2**31 - 1)).astype(np.int32), 1),
        ((RAMP * 1023).astype(np.int32), 1),
        ((RAMP * 200).astype(np.int32), 60),  # of 8 bits, and not of full brightness
        (RAMP.astype(np.float32), 1),
        ((RAMP * 4095).astype(np.float32), 1),
        ((RAMP * 255).astype(np.float32), 1),
    ],
)
def test_wide_grey_is_scaled(values, tolerance):
    assert np.abs(grey(values) - RAMP * 255).max() <= tolerance


def test_a_tiff_of_32_bits_is_not_black():
    few = Image.fromarray(np.linspace(0, 767, 64, dtype=np.int32).reshape(8, 8))
    assert np.asarray(open_image(encoded(few, "TIFF"))).max() == 767 >> 2
    half = Image.fromarray((RAMP * (2**32 - 1)).astype(np.uint32).view(np.int32))
    signed, unsigned = (b"\x53\x01\x03\0\1\0\0\0" + bytes([kind]) for kind in (2, 1))  # the tag SampleFormat
    data = encoded(half, "TIFF")
    assert signed in data
    unsigned = np.asarray(open_image(data.replace(signed, unsigned)))[..., 0]
    assert np.abs(unsigned.astype(int) - RAMP * 255).max() <= 1


def test_numbers_that_are_none_are_black():
    assert grey(np.full((8, 8), np.nan, dtype=np.float32)).max() == 0
    assert grey(np.full((8, 8), -5, dtype=np.int32)).max() == 0


def test_one_wide_colour_is_transparent():
    wide = np.zeros((1, 2, 3), dtype=np.uint16)
    wide[0, 1] = (0, 0, 1)
    assert np.asarray(wide_as_rgb(wide, (0, 0, 1))).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("mode", ["LA", "RGBA", "PA", "RGBa"])
def test_alpha_lies_on_white(mode):
    base = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image = base.convert("LA") if mode == "LA" else base
    assert as_rgb(image.convert(mode)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_a_tiff_of_any_kind_keeps_its_brightness(mode):
    light = np.full((8, 8), 0.8)
    wide = {"I;16": (light * 65535).astype(np.uint16), "F": light.astype(np.float32)}
    image = Image.fromarray(wide[mode]) if mode in wide else Image.new("L", (8, 8), 204).convert(mode)
    assert np.asarray(open_image(encoded(image, "TIFF"))).mean() == pytest.approx(255 if mode == "1" else 204, abs=52)
