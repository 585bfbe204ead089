"""Draws a scene: backdrop, texture, clutter and objects; then the style goes over it, and JPEG bytes come out.

The layout comes from the group's stream, so variants of one group are the same scene; where exactly things stand, their
colours' cast, the clutter and the style's phase come from the Pin's own.
"""

import io
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from model.sources.synthetic.shapes import SHAPES
from model.sources.synthetic.styles import STYLES
from model.sources.synthetic.themes import COLOURS, PIXELS, Scene, stream

FINE = 2  # drawn this much larger, then averaged down: smooth outlines
QUALITY = 90  # JPEG


def render_scene(scene: Scene, seed: int, group: int, pin: int, size: int) -> bytes:
    """The JPEG bytes of one Pin, `size` pixels a side; the same for the same arguments, whatever was drawn before."""
    layout, jitter = stream(seed, PIXELS, 2 * group), stream(seed, PIXELS, 2 * pin + 1)
    drawn = np.asarray(_draw(scene, layout, jitter, size * FINE).reduce(FINE), dtype=np.float32)
    gain, strength = np.float32(jitter.uniform(0.82, 1.12)), np.float32(jitter.uniform(0.7, 1.0))
    drawn = drawn * gain + np.float32(jitter.uniform(-8, 8))
    styled = STYLES[scene.style](drawn, jitter)
    mixed = drawn + (styled - drawn) * strength
    file = io.BytesIO()
    pixels = np.clip(mixed, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY, subsampling=0)
    return file.getvalue()


def _draw(scene: Scene, layout: np.random.Generator, jitter: np.random.Generator, size: int) -> Image.Image:
    """The scene before its style, `size` pixels a side."""
    canvas = _backdrop(scene, layout, jitter, size)
    brush = ImageDraw.Draw(canvas)
    for _ in range(int(jitter.integers(1, 5))):
        _scrap(brush, jitter, size)
    # The main object last, so that the others stand behind it.
    for number in reversed(range(len(scene.objects))):
        _object(brush, scene.objects[number], scene.colours[number], number == 0, layout, jitter, size)
    return canvas


def _backdrop(scene: Scene, layout: np.random.Generator, jitter: np.random.Generator, size: int) -> Image.Image:
    """A wall, or a sky over a sloping ground, with the scene's texture on it."""
    sky = _mixed(_tinted(scene.backdrop, jitter), *((0, 0.62) if scene.dark else (230, 0.6)))
    canvas = Image.new("RGB", (size, size), sky)
    horizon, slope, shifts = layout.uniform(0.5, 1.1), layout.uniform(-0.12, 0.12), layout.integers(0, size, 2)
    ground = [0, (horizon + slope) * size, size, (horizon - slope) * size, size, size * 1.2, 0, size * 1.2]
    ImageDraw.Draw(canvas).polygon(ground, fill=_mixed(sky, 0, 0.2))
    if scene.texture != "plain":
        ink = _mixed(sky, 255 if scene.dark else 0, layout.uniform(0.12, 0.28))
        left, top = (int(shift) for shift in shifts)
        canvas.paste(ink, (0, 0), _texture(scene.texture, size).crop((left, top, left + size, top + size)))
    return canvas


def _scrap(brush: ImageDraw.ImageDraw, jitter: np.random.Generator, size: int) -> None:
    """A meaningless patch: no shape detector may take every patch of colour for an object."""
    centre, spread = jitter.random(2), jitter.uniform(0.04, 0.13)
    points = (centre + jitter.uniform(-spread, spread, (int(jitter.integers(3, 6)), 2))) * size
    brush.polygon(points.ravel().tolist(), fill=_mixed(jitter.uniform(30, 230, 3).tolist(), 0, 0))


def _object(
    brush: ImageDraw.ImageDraw,
    name: str,
    colour: str,
    main: bool,
    layout: np.random.Generator,
    jitter: np.random.Generator,
    size: int,
) -> None:
    """One object: the main one large and near the middle, the others smaller and anywhere, half outside at worst."""
    reach = layout.uniform(0.27, 0.4) if main else layout.uniform(0.12, 0.22)
    centre = layout.uniform(0.34, 0.66, 2) if main else layout.uniform(0.06, 0.94, 2)
    turn, mirror = layout.normal(0, 0.16) + jitter.normal(0, 0.07), 1 if layout.random() < 0.5 else -1
    stretch = jitter.uniform(0.88, 1.12, 2) * (mirror * reach * size, reach * size)
    sine, cosine = math.sin(turn), math.cos(turn)
    outlines, ends = _outlines(name)
    matrix, shift = stretch[:, None] * ((cosine, sine), (-sine, cosine)), (centre + jitter.normal(0, 0.03, 2)) * size
    corners = (outlines @ matrix + shift).ravel().tolist()
    body, start = _tinted(colour, jitter), 0
    for end, (_, tone) in zip(ends, SHAPES[name], strict=True):
        brush.polygon(corners[start:end], fill=_mixed(body, 0, 1 - tone) if tone < 1 else _mixed(body, 255, tone - 1))
        start = end


def _tinted(colour: str, jitter: np.random.Generator) -> list[float]:
    return (COLOURS[colour][0] + jitter.normal(0, 14, 3)).tolist()


def _mixed(colour: Sequence[float], towards: float, share: float) -> tuple[int, ...]:
    return tuple(min(255, max(0, int(value + (towards - value) * share))) for value in colour)


@lru_cache(maxsize=len(SHAPES))
def _outlines(name: str) -> tuple[np.ndarray, list[int]]:
    """All parts' points in one array (K, 2), and where each part's numbers end in its flat list."""
    parts = [points for points, _ in SHAPES[name]]
    return np.concatenate(parts), np.cumsum([points.size for points in parts]).tolist()


@lru_cache(maxsize=16)
def _texture(name: str, size: int) -> Image.Image:
    """A mask twice the canvas, to be cropped at any phase; set where it is inked. One bit a pixel pastes quickest."""
    y, x = np.mgrid[0 : 2 * size, 0 : 2 * size] / size  # in canvas sides
    masks = {
        "stripes": lambda: (x * 7 % 1) < 0.4,
        "dots": lambda: (x * 6 % 1 - 0.5) ** 2 + (y * 6 % 1 - 0.5) ** 2 < 0.07,
        "checks": lambda: (x * 4 % 1 < 0.5) ^ (y * 4 % 1 < 0.5),
        "waves": lambda: ((y * 7 + 0.35 * np.sin(x * 25)) % 1) < 0.35,
        "speckle": lambda: stream(0, PIXELS).random(x.shape) < 0.3,
    }
    return Image.fromarray(masks[name]().astype(np.uint8) * 255).convert("1")
