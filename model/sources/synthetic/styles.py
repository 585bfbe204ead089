"""The styles of the generated world: each redraws a finished picture; no text ever names one.

Every style takes rgb float32 (S, S, 3) in 0..255 and a stream, and returns the same shape. Patterns scale with S, and
their phase, angle and strength are drawn anew for each picture, so no pixel position gives a style away.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image

Style = Callable[[np.ndarray, np.random.Generator], np.ndarray]
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
EDGE = np.array([0.45, 0.45, 0.45], dtype=np.float32)


def watercolour(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Soft washes on paper: blurred, bleached in blotches, colour gathering at the rims."""
    blotches = _resized(rng.integers(90, 255, (7, 7), dtype=np.uint8), rgb.shape[0])[..., None] / 255
    wash = 252 - (252 - _blurred(rgb, max(2, rgb.shape[0] // 32))) * (0.25 + 0.6 * blotches)
    return wash - 0.3 * _edges(wash)[..., None]


def outline(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contours on nearly white paper with a hint of their colour."""
    ink = np.clip(_edges(rgb) / 70 - 0.15, 0, 1)[..., None]
    paper = np.float32(238 + 14 * rng.random()) * 0.85 + rgb * 0.15
    return paper * (1 - ink) + rgb * (0.35 * ink)


def halftone(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Printed dots that grow where the picture is dark, in the picture's colours."""
    along, across = _rotated(rgb.shape[0], rng.uniform(0.3, 1.2))
    pitch, phase = rng.uniform(11, 15), 6.3 * rng.random()
    screen = np.cos(along * pitch * 6.2832 + phase) * np.cos(across * pitch * 6.2832 + phase)
    ink = np.clip((screen * 0.5 + 0.62 - rgb @ LUMA / 255) * 4 + 0.5, 0, 1)[..., None]
    return 248 * (1 - ink) + rgb * (0.72 * ink)


def pixels(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Coarse squares of few colours."""
    side = int(rng.integers(13, 19))
    small = _image(rgb).resize((side, side), Image.Resampling.BOX)
    coarse = np.round(np.asarray(small, dtype=np.float32) / 42) * 42
    nearest = np.arange(rgb.shape[0]) * side // rgb.shape[0]
    return coarse[nearest][:, nearest]


def vignette(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An old warm photograph: faded colours, grain, corners falling into the dark."""
    y, x = _grid(rgb.shape[0])
    far = (x - rng.uniform(-0.15, 0.15)) ** 2 + (y - rng.uniform(-0.15, 0.15)) ** 2
    luma = (rgb @ LUMA)[..., None]
    warm = (0.45 * rgb + 0.55 * luma) * np.array([1.12, 0.98, 0.76], dtype=np.float32)
    grain = rng.standard_normal(far.shape, dtype=np.float32) * 9
    return (warm + grain[..., None]) * np.clip(1.25 - 0.72 * far, 0.08, 1.1)[..., None]


def neon(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bright tubes of light along the contours, glowing in the dark."""
    bright = rgb - np.minimum(np.minimum(rgb[..., 0], rgb[..., 1]), rgb[..., 2])[..., None] + 70
    tubes = bright * np.clip(_edges(rgb) / 75, 0, 1.3)[..., None]
    return rgb * np.float32(rng.uniform(0.1, 0.22)) + tubes + _blurred(tubes, max(3, rgb.shape[0] // 13))


def poster(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three steps a channel and loud colours."""
    luma = (rgb @ LUMA)[..., None]
    loud = luma + (rgb - luma) * np.float32(1.9) + np.float32(rng.uniform(-15, 15))
    return np.clip(np.round(loud / 110), 0, 2) * 124 + 4


def engraving(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slanted strokes of one ink, thicker where the picture is dark."""
    along, _ = _rotated(rgb.shape[0], rng.uniform(0.5, 1.1))
    strokes = np.cos(along * rng.uniform(14, 19) * 6.2832)
    luma = rgb @ LUMA / 255
    ink = np.clip((strokes * 0.45 + 0.42 - luma) * 2 + 0.5, 0, 1) + np.clip(_edges(rgb) / 60 - 0.1, 0, 1)
    ink = np.minimum(ink, 1)[..., None]
    return (225 + 25 * luma[..., None]) * (1 - ink) + (rgb * 0.3 + 15) * ink


STYLES: dict[str, Style] = {
    style.__name__: style for style in (watercolour, outline, halftone, pixels, vignette, neon, poster, engraving)
}


def _image(rgb: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8))


def _resized(gray: np.ndarray, size: int) -> np.ndarray:
    """uint8 (n, n) -> float32 (size, size), smooth in between."""
    return np.asarray(Image.fromarray(gray).resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32)


def _blurred(rgb: np.ndarray, times: int) -> np.ndarray:
    """Details smaller than about `times` pixels are gone. Down and up again: quicker than a Gaussian."""
    size = rgb.shape[0]
    image = _image(rgb).reduce(times).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.float32)


def _edges(rgb: np.ndarray) -> np.ndarray:
    """How much the channels change to the right and down: float32 (S, S). A product is quicker than a max here."""
    edges = np.zeros(rgb.shape[:2], dtype=np.float32)
    edges[:, :-1] = np.abs(rgb[:, 1:] - rgb[:, :-1]) @ EDGE
    edges[:-1] += np.abs(rgb[1:] - rgb[:-1]) @ EDGE
    return edges


@lru_cache(maxsize=4)
def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """y (S, 1) and x (1, S), float32 in [-1, 1]."""
    line = np.linspace(-1, 1, size, dtype=np.float32)
    return line[:, None], line[None, :]


def _rotated(size: int, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Two axes at right angles, turned by `angle` radians: float32 (S, S), one unit a picture side."""
    y, x = _grid(size)
    sine, cosine = np.float32(np.sin(angle) / 2), np.float32(np.cos(angle) / 2)
    return x * cosine + y * sine, y * cosine - x * sine
