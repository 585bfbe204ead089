"""Converts pixels of any kind to 8-bit RGB, with transparency on white."""

import numpy as np
from PIL import Image

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
    if image.mode == "F":
        grey_HW = np.nan_to_num(grey_HW, nan=0, posinf=0, neginf=0)
        scaled_HW = grey_HW * 255 if grey_HW.max(initial=0) <= 1 else grey_HW  # by custom 0 to 1, else 0 to 255
    elif image.mode == "I":
        is_16_bits = grey_HW.max(initial=0) < 2**16
        scaled_HW = grey_HW.clip(0) >> (8 if is_16_bits else 23)
    else:
        scaled_HW = grey_HW >> 8
    grey = scaled_HW.clip(0, 255).astype(np.uint8)
    if isinstance(transparent := image.info.get("transparency"), int):
        grey[grey_HW == transparent] = _WHITE
    return Image.fromarray(grey).convert("RGB")
