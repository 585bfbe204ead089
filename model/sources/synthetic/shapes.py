"""The objects of the generated world as polygons in a unit box, x to the right and y down, both in [-1, 1].

A part is (points float32 (K, 2), tone); the tone times the object's colour is its fill: 1 as it is, below 1 darker,
above 1 towards white.
"""

from collections.abc import Sequence

import numpy as np

ShapePart = tuple[np.ndarray, float]
DARK, BODY, LIGHT = 0.55, 1.0, 1.55


def _poly(tone: float, *xy: float) -> ShapePart:
    return np.array(xy, dtype=np.float32).reshape(-1, 2), tone


def _box(tone: float, left: float, top: float, right: float, bottom: float) -> ShapePart:
    return _poly(tone, left, top, right, top, right, bottom, left, bottom)


def _oval(tone: float, x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360) -> ShapePart:
    """An ellipse, or the pie slice of it between two angles in degrees (clockwise from the right)."""
    angles = np.deg2rad(np.linspace(start, end, 17)[: 16 if end - start == 360 else 17])
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1).astype(np.float32), tone


def _star(tone: float, points: int, inner: float, outer: float = 1.0, y: float = 0.0) -> ShapePart:
    angles = np.arange(2 * points) * np.pi / points - np.pi / 2
    radii = np.where(np.arange(2 * points) % 2 == 0, outer, inner)
    return np.stack([radii * np.cos(angles), y + radii * np.sin(angles)], axis=1).astype(np.float32), tone


def _petals(tone: float, count: int, reach: float, size: float, y: float) -> list[ShapePart]:
    angles = np.arange(count) * 2 * np.pi / count
    return [_oval(tone, reach * np.cos(a), y + reach * np.sin(a), size, size) for a in angles]


SHAPES: dict[str, Sequence[ShapePart]] = {
    "apple": [
        _oval(BODY, -0.3, 0.15, 0.55, 0.75),
        _oval(BODY, 0.3, 0.15, 0.55, 0.75),
        _box(DARK, -0.06, -0.95, 0.08, -0.4),
        _oval(LIGHT, 0.38, -0.7, 0.32, 0.14),
    ],
    "ball": [
        _oval(BODY, 0, 0, 0.9, 0.9),
        _poly(LIGHT, -0.85, -0.25, 0.85, -0.25, 0.88, 0.2, -0.88, 0.2),
        _oval(DARK, 0, 0, 0.22, 0.22),
    ],
    "balloon": [
        _oval(BODY, 0, -0.35, 0.6, 0.65),
        _poly(DARK, -0.14, 0.42, 0, 0.26, 0.14, 0.42),
        _box(DARK, -0.03, 0.4, 0.04, 1),
        _oval(LIGHT, -0.22, -0.55, 0.12, 0.2),
    ],
    "bell": [
        _poly(BODY, -0.25, -0.75, 0.25, -0.75, 0.5, 0, 0.85, 0.5, -0.85, 0.5, -0.5, 0),
        _box(LIGHT, -0.95, 0.42, 0.95, 0.6),
        _oval(DARK, 0, 0.75, 0.2, 0.2),
        _oval(DARK, 0, -0.85, 0.14, 0.14),
    ],
    "bird": [
        _oval(BODY, 0, 0.1, 0.65, 0.42),
        _oval(BODY, 0.55, -0.35, 0.28, 0.28),
        _poly(LIGHT, 0.8, -0.4, 1, -0.28, 0.8, -0.2),
        _poly(DARK, -0.4, 0, -0.15, -0.75, 0.35, 0.05),
        _poly(BODY, -0.5, 0, -1, -0.25, -0.95, 0.3),
        _oval(DARK, 0.6, -0.4, 0.07, 0.07),
    ],
    "boat": [
        _poly(BODY, -0.95, 0.3, 0.95, 0.3, 0.6, 0.85, -0.65, 0.85),
        _box(DARK, -0.06, -0.9, 0.06, 0.3),
        _poly(LIGHT, 0.1, -0.85, 0.85, 0.15, 0.1, 0.15),
        _poly(LIGHT, -0.1, -0.6, -0.65, 0.15, -0.1, 0.15),
    ],
    "bone": [
        _box(BODY, -0.6, -0.18, 0.6, 0.18),
        *[_oval(LIGHT, x, y, 0.28, 0.26) for x in (-0.68, 0.68) for y in (-0.22, 0.22)],
    ],
    "butterfly": [
        _oval(BODY, -0.5, -0.35, 0.48, 0.5),
        _oval(BODY, 0.5, -0.35, 0.48, 0.5),
        _oval(LIGHT, -0.4, 0.4, 0.35, 0.38),
        _oval(LIGHT, 0.4, 0.4, 0.35, 0.38),
        _oval(DARK, 0, 0, 0.11, 0.75),
    ],
    "cake": [
        _box(BODY, -0.85, 0.2, 0.85, 0.85),
        _box(LIGHT, -0.55, -0.35, 0.55, 0.25),
        _box(DARK, -0.85, 0.42, 0.85, 0.55),
        _box(BODY, -0.06, -0.75, 0.06, -0.35),
        _oval(LIGHT, 0, -0.85, 0.09, 0.13),
    ],
    "candle": [
        _box(BODY, -0.25, -0.25, 0.25, 0.75),
        _box(DARK, -0.6, 0.72, 0.6, 0.92),
        _poly(LIGHT, 0, -1, 0.2, -0.5, 0, -0.3, -0.2, -0.5),
    ],
    "car": [
        _poly(BODY, -0.55, -0.1, -0.3, -0.5, 0.35, -0.5, 0.6, -0.1),
        _box(BODY, -0.98, -0.1, 0.98, 0.4),
        _poly(LIGHT, -0.38, -0.1, -0.22, -0.38, 0.28, -0.38, 0.42, -0.1),
        _oval(DARK, -0.55, 0.42, 0.25, 0.25),
        _oval(DARK, 0.55, 0.42, 0.25, 0.25),
    ],
    "cat": [
        _poly(BODY, -0.6, -0.3, -0.6, -0.95, -0.15, -0.5),
        _poly(BODY, 0.6, -0.3, 0.6, -0.95, 0.15, -0.5),
        _oval(BODY, 0, 0.1, 0.75, 0.65),
        *[_oval(LIGHT, x, 0, 0.15, 0.17) for x in (-0.28, 0.28)],
        _poly(DARK, -0.12, 0.25, 0.12, 0.25, 0, 0.42),
    ],
    "cup": [
        _oval(BODY, 0.6, 0, 0.35, 0.38),
        _oval(LIGHT, 0.6, 0, 0.18, 0.2),
        _poly(BODY, -0.75, -0.55, 0.6, -0.55, 0.42, 0.7, -0.55, 0.7),
        _oval(DARK, -0.07, -0.55, 0.67, 0.16),
    ],
    "dog": [
        _oval(BODY, 0, 0, 0.62, 0.68),
        _oval(DARK, -0.68, -0.1, 0.22, 0.55),
        _oval(DARK, 0.68, -0.1, 0.22, 0.55),
        _oval(LIGHT, 0, 0.38, 0.36, 0.3),
        _oval(DARK, 0, 0.26, 0.14, 0.1),
        *[_oval(DARK, x, -0.15, 0.08, 0.1) for x in (-0.24, 0.24)],
    ],
    "drum": [
        _box(BODY, -0.8, -0.25, 0.8, 0.6),
        _oval(LIGHT, 0, -0.3, 0.8, 0.25),
        _poly(DARK, -0.8, 0.1, -0.4, 0.5, 0, 0.1, 0.4, 0.5, 0.8, 0.1, 0.8, 0.25, 0.4, 0.65, 0, 0.25, -0.4, 0.65),
        _poly(DARK, -0.6, -1, -0.5, -1, 0.1, -0.35, 0, -0.3),
    ],
    "fish": [
        _oval(BODY, 0.1, 0, 0.7, 0.42),
        _poly(DARK, -0.45, 0, -1, -0.42, -0.9, 0, -1, 0.42),
        _poly(LIGHT, -0.05, -0.35, 0.35, -0.7, 0.4, -0.3),
        _oval(LIGHT, 0.48, -0.1, 0.1, 0.1),
    ],
    "flower": [
        _box(DARK, -0.05, 0.1, 0.06, 1),
        *_petals(BODY, 5, 0.36, 0.3, -0.3),
        _oval(LIGHT, 0, -0.3, 0.2, 0.2),
        _oval(DARK, 0.3, 0.65, 0.3, 0.12),
    ],
    "gift": [
        _box(BODY, -0.75, -0.2, 0.75, 0.85),
        _box(DARK, -0.85, -0.42, 0.85, -0.12),
        _box(LIGHT, -0.12, -0.42, 0.12, 0.85),
        _oval(LIGHT, -0.28, -0.62, 0.28, 0.2),
        _oval(LIGHT, 0.28, -0.62, 0.28, 0.2),
    ],
    "guitar": [
        _oval(BODY, 0, 0.55, 0.5, 0.45),
        _oval(BODY, 0, 0.05, 0.36, 0.34),
        _box(DARK, -0.08, -0.9, 0.08, 0.3),
        _box(LIGHT, -0.16, -1, 0.16, -0.78),
        _oval(DARK, 0, 0.4, 0.17, 0.17),
    ],
    "heart": [
        _oval(BODY, -0.42, -0.3, 0.48, 0.48),
        _oval(BODY, 0.42, -0.3, 0.48, 0.48),
        _poly(BODY, -0.85, -0.08, 0.85, -0.08, 0, 0.92),
        _oval(LIGHT, -0.45, -0.4, 0.16, 0.16),
    ],
    "house": [
        _box(BODY, -0.7, -0.1, 0.7, 0.85),
        _poly(DARK, -0.95, -0.05, 0, -0.9, 0.95, -0.05),
        _box(DARK, -0.14, 0.35, 0.16, 0.85),
        _box(LIGHT, -0.55, 0.1, -0.27, 0.4),
        _box(LIGHT, 0.3, 0.1, 0.56, 0.4),
    ],
    "lamp": [
        _box(DARK, -0.06, -0.1, 0.07, 0.85),
        _box(DARK, -0.4, 0.8, 0.4, 0.95),
        _poly(BODY, -0.35, -0.9, 0.35, -0.9, 0.7, -0.05, -0.7, -0.05),
        _oval(LIGHT, 0, 0, 0.25, 0.14),
    ],
    "leaf": [
        _poly(BODY, 0, -0.95, 0.4, -0.55, 0.6, 0, 0.4, 0.45, 0, 0.7, -0.4, 0.45, -0.6, 0, -0.4, -0.55),
        _box(DARK, -0.04, -0.7, 0.05, 1),
        _poly(LIGHT, 0.05, 0.3, 0.42, -0.05, 0.45, 0.04, 0.05, 0.4),
        _poly(LIGHT, -0.05, 0, -0.42, -0.35, -0.45, -0.26, -0.05, 0.1),
    ],
    "lemon": [
        _oval(BODY, 0, 0, 0.75, 0.55),
        _poly(BODY, 0.6, -0.25, 1, 0, 0.6, 0.25),
        _poly(BODY, -0.6, -0.25, -0.95, 0, -0.6, 0.25),
        _oval(LIGHT, -0.2, -0.2, 0.26, 0.12),
    ],
    "mitten": [
        _oval(BODY, -0.1, -0.25, 0.5, 0.7),
        _oval(BODY, 0.52, 0.05, 0.2, 0.38),
        _box(BODY, -0.55, -0.1, 0.42, 0.5),
        _box(LIGHT, -0.62, 0.5, 0.5, 0.88),
    ],
    "moon": [
        (np.concatenate([_oval(1, 0, 0, 0.9, 0.9, 60, 300)[0], _oval(1, 0.3, 0, 0.62, 0.75, 285, 75)[0]]), BODY),
        _oval(DARK, -0.55, -0.2, 0.13, 0.13),
        _oval(DARK, -0.5, 0.3, 0.09, 0.09),
    ],
    "mountain": [
        _poly(DARK, -0.1, 0.8, 0.5, -0.4, 1, 0.8),
        _poly(BODY, -1, 0.8, -0.2, -0.85, 0.6, 0.8),
        _poly(LIGHT, -0.42, -0.4, -0.2, -0.85, 0.02, -0.4, -0.1, -0.28, -0.2, -0.42, -0.32, -0.26),
    ],
    "mushroom": [
        _poly(LIGHT, -0.24, 0, 0.24, 0, 0.32, 0.85, -0.32, 0.85),
        _oval(BODY, 0, 0.05, 0.88, 0.85, 180, 360),
        _oval(LIGHT, -0.4, -0.25, 0.16, 0.14),
        _oval(LIGHT, 0.2, -0.4, 0.18, 0.15),
    ],
    "note": [
        _oval(BODY, -0.45, 0.65, 0.32, 0.25),
        _oval(BODY, 0.5, 0.5, 0.32, 0.25),
        _box(BODY, -0.27, -0.75, -0.13, 0.65),
        _box(BODY, 0.68, -0.9, 0.82, 0.5),
        _poly(DARK, -0.27, -0.85, 0.82, -1, 0.82, -0.65, -0.27, -0.5),
    ],
    "plane": [
        _oval(BODY, 0, 0, 0.98, 0.2),
        _poly(DARK, -0.1, 0, -0.55, 0.75, -0.25, 0.75, 0.35, 0),
        _poly(LIGHT, -0.1, 0, -0.45, -0.65, -0.2, -0.65, 0.35, 0),
        _poly(DARK, -0.7, -0.05, -1, -0.5, -0.8, -0.5, -0.5, -0.05),
    ],
    "planet": [
        _oval(BODY, 0, 0, 0.62, 0.62),
        _poly(DARK, -0.6, -0.2, 0.58, -0.25, 0.62, -0.02, -0.62, 0.02),
        _poly(LIGHT, -1, 0.32, -0.55, 0.02, -0.5, 0.12, -0.6, 0.28, 0.6, 0, 0.98, -0.3, 0.62, 0.2, -0.6, 0.48),
    ],
    "pot": [
        _box(BODY, -0.65, -0.2, 0.65, 0.7),
        _box(DARK, -0.98, -0.12, -0.6, 0.08),
        _box(DARK, 0.6, -0.12, 0.98, 0.08),
        _oval(LIGHT, 0, -0.25, 0.7, 0.2),
        _oval(DARK, 0, -0.5, 0.14, 0.12),
    ],
    "record": [
        _oval(DARK, 0, 0, 0.95, 0.95),
        _oval(BODY, 0, 0, 0.75, 0.75),
        _oval(DARK, 0, 0, 0.62, 0.62),
        _oval(LIGHT, 0, 0, 0.3, 0.3),
        _oval(DARK, 0, 0, 0.08, 0.08),
    ],
    "ring": [
        (np.concatenate([_oval(1, 0, 0.3, 0.68, 0.66, 0, 359)[0], _oval(1, 0, 0.3, 0.46, 0.44, 359, 0)[0]]), BODY),
        _poly(LIGHT, -0.4, -0.75, 0.4, -0.75, 0.55, -0.55, 0, -0.15, -0.55, -0.55),
    ],
    "rocket": [
        _poly(BODY, 0, -1, 0.32, -0.5, 0.34, 0.5, -0.34, 0.5, -0.32, -0.5),
        _poly(DARK, -0.32, 0, -0.75, 0.7, -0.3, 0.5),
        _poly(DARK, 0.32, 0, 0.75, 0.7, 0.3, 0.5),
        _oval(LIGHT, 0, -0.3, 0.18, 0.18),
        _poly(LIGHT, -0.2, 0.5, 0.2, 0.5, 0, 1),
    ],
    "saucer": [
        _oval(LIGHT, 0, -0.2, 0.45, 0.45),
        _oval(BODY, 0, 0.1, 0.98, 0.3),
        *[_oval(DARK, x, 0.14, 0.1, 0.09) for x in (-0.55, 0, 0.55)],
    ],
    "shell": [
        _poly(DARK, -0.5, 0.5, 0.5, 0.5, 0.3, 0.9, -0.3, 0.9),
        _poly(BODY, 0, 0.9, -0.98, 0, -0.85, -0.4, -0.5, -0.65, 0, -0.75, 0.5, -0.65, 0.85, -0.4, 0.98, 0),
        *[_poly(LIGHT, 0, 0.8, x - 0.07, -0.5, x + 0.07, -0.5) for x in (-0.55, -0.2, 0.2, 0.55)],
    ],
    "snowman": [
        _oval(LIGHT, 0, 0.5, 0.5, 0.48),
        _oval(LIGHT, 0, -0.15, 0.35, 0.34),
        _box(DARK, -0.42, -0.55, 0.42, -0.42),
        _box(DARK, -0.26, -1, 0.26, -0.5),
        _poly(BODY, -0.36, 0.02, 0.36, 0.02, 0.34, 0.18, -0.34, 0.18),
        _oval(DARK, 0, 0.45, 0.07, 0.07),
    ],
    "star": [_star(BODY, 5, 0.42), _star(LIGHT, 5, 0.2, 0.45)],
    "suitcase": [
        _box(DARK, -0.3, -0.85, 0.3, -0.6),
        _box(BODY, -0.85, -0.6, 0.85, 0.75),
        _box(LIGHT, -0.6, -0.6, -0.42, 0.75),
        _box(LIGHT, 0.42, -0.6, 0.6, 0.75),
    ],
    "sun": [_star(BODY, 10, 0.62), _oval(LIGHT, 0, 0, 0.5, 0.5)],
    "tent": [
        _poly(BODY, 0, -0.85, 0.98, 0.75, -0.98, 0.75),
        _poly(DARK, 0, -0.1, 0.32, 0.75, -0.32, 0.75),
        _poly(LIGHT, 0, -0.85, -0.98, 0.75, -0.75, 0.75),
    ],
    "tower": [
        _box(BODY, -0.42, -0.7, 0.42, 1),
        _poly(DARK, -0.42, -0.7, 0, -1, 0.42, -0.7),
        *[_box(LIGHT, x - 0.11, y, x + 0.11, y + 0.22) for x in (-0.2, 0.2) for y in (-0.5, -0.1, 0.3)],
    ],
    "tree": [
        _box(DARK, -0.12, 0.3, 0.14, 1),
        _poly(BODY, 0, -1, 0.5, -0.2, -0.5, -0.2),
        _poly(BODY, 0, -0.6, 0.7, 0.45, -0.7, 0.45),
        _poly(LIGHT, -0.1, -0.35, 0.1, -0.35, 0.2, 0.05, -0.25, 0.05),
    ],
}
