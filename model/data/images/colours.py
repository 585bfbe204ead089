"""Converts pixels of any kind to 8-bit RGB, with transparency on white."""

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import SAMPLEFORMAT, TiffImageFile

_WHITE = 255


def as_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _grey_as_rgb(image)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


def wide_as_rgb(wide_HW3: np.ndarray, transparent: tuple[int, int, int]) -> Image.Image:
    """RGB of uint16 pixels; the colour that is transparent becomes white."""
    rgb_HW3 = (wide_HW3 >> 8).astype(np.uint8)
    rgb_HW3[(wide_HW3 == np.array(transparent)).all(axis=2)] = _WHITE
    return Image.fromarray(rgb_HW3)


def _grey_as_rgb(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits; Pillow would clip it at 255 instead of scaling it."""
    grey_HW = np.asarray(image)
    if image.mode.startswith("I;"):
        scaled_HW = grey_HW >> 8
    elif image.mode == "F":
        grey_HW = np.nan_to_num(grey_HW, nan=0, posinf=0, neginf=0)
        is_share = grey_HW.max(initial=0) <= 1  # by custom 0 to 1, else whole numbers
        scaled_HW = grey_HW * 255 if is_share else grey_HW / 2 ** _spare_bits(grey_HW)
    else:
        grey_HW = grey_HW.view(np.uint32) if _is_unsigned(image) else grey_HW.clip(0)
        scaled_HW = grey_HW >> _spare_bits(grey_HW)
    grey = scaled_HW.clip(0, 255).astype(np.uint8)
    if isinstance(transparent := image.info.get("transparency"), int):
        grey[grey_HW == transparent] = _WHITE
    return Image.fromarray(grey).convert("RGB")


def _is_unsigned(image: Image.Image) -> bool:
    """Whether a TIFF of 32 bits says so, or says nothing; Pillow reads the upper half of its numbers as negative."""
    return isinstance(image, TiffImageFile) and image.tag_v2.get(SAMPLEFORMAT, (1,)) == (1,)


def _spare_bits(grey_HW: np.ndarray) -> int:
    """The low bits to drop so that 8 are left. Files of 32 bits a pixel do not say which of them are used: the
    brightest pixel does."""
    return max(0, int(grey_HW.max(initial=0)).bit_length() - 8)
