"""What exists in the generated world: themes, colours, textures, regions; and the random streams that draw it.

Objects belong to several themes and colours to all of them, so neither a caption nor a single shape gives a theme away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
# Which part of the world a stream draws; streams of one seed never overlap.
GROUPS, PINS, PIXELS, BOARDS, QUERIES, USERS = range(6)


@dataclass(frozen=True)
class Theme:
    """How a theme is spoken of, and what it likes to show."""

    words: tuple[str, ...]
    objects: tuple[str, ...]
    colours: tuple[str, ...]


# The common themes first: the k-th is drawn with weight 1 / (k + 4).
THEMES: dict[str, Theme] = {
    "kitchen": Theme(
        ("kitchen", "cooking", "breakfast", "pantry"),
        ("cup", "pot", "apple", "lemon", "cake", "mushroom"),
        ("red", "yellow", "white", "orange"),
    ),
    "garden": Theme(
        ("garden", "backyard", "gardening", "terrace"),
        ("flower", "tree", "butterfly", "bird", "apple", "leaf", "lamp"),
        ("green", "pink", "yellow", "brown"),
    ),
    "city": Theme(
        ("city", "street", "downtown", "urban"),
        ("tower", "car", "house", "lamp", "cup", "bird"),
        ("grey", "red", "blue", "yellow"),
    ),
    "ocean": Theme(
        ("ocean", "seaside", "beach", "coast"),
        ("boat", "fish", "shell", "sun", "bird", "ball"),
        ("blue", "teal", "white", "yellow"),
    ),
    "birthday": Theme(
        ("birthday", "party", "anniversary", "jubilee"),
        ("cake", "balloon", "gift", "candle", "star", "ball"),
        ("pink", "purple", "yellow", "teal"),
    ),
    "wedding": Theme(
        ("wedding", "bridal", "engagement", "ceremony"),
        ("ring", "heart", "bell", "flower", "cake", "candle"),
        ("white", "pink", "green", "purple"),
    ),
    "forest": Theme(
        ("forest", "woodland", "hiking", "camping"),
        ("tree", "mushroom", "leaf", "tent", "mountain", "bird"),
        ("green", "brown", "orange", "teal"),
    ),
    "pets": Theme(
        ("pets", "kitten", "puppy", "grooming"),
        ("cat", "dog", "fish", "bone", "ball", "bird"),
        ("orange", "brown", "grey", "white"),
    ),
    "winter": Theme(
        ("winter", "christmas", "snowy", "december"),
        ("snowman", "mitten", "tree", "star", "bell", "gift"),
        ("white", "blue", "red", "green"),
    ),
    "travel": Theme(
        ("travel", "vacation", "journey", "backpacking"),
        ("suitcase", "plane", "mountain", "boat", "balloon", "tent", "sun"),
        ("orange", "teal", "brown", "blue"),
    ),
    "music": Theme(
        ("music", "concert", "melody", "rehearsal"),
        ("guitar", "drum", "note", "bell", "record", "lamp"),
        ("black", "brown", "purple", "red"),
    ),
    "space": Theme(
        ("space", "galaxy", "astronomy", "cosmic"),
        ("rocket", "planet", "star", "moon", "sun", "saucer"),
        ("purple", "blue", "black", "teal"),
    ),
}
OBJECTS: tuple[str, ...] = tuple(sorted({name for theme in THEMES.values() for name in theme.objects}))
# Name -> (R, G, B) and the other words people use for it.
COLOURS: dict[str, tuple[tuple[int, int, int], tuple[str, ...]]] = {
    "red": ((205, 48, 44), ("red", "scarlet", "crimson")),
    "orange": ((235, 134, 42), ("orange", "tangerine")),
    "yellow": ((242, 205, 62), ("yellow", "golden")),
    "green": ((72, 150, 70), ("green", "emerald")),
    "teal": ((42, 155, 155), ("teal", "turquoise")),
    "blue": ((52, 96, 190), ("blue", "navy")),
    "purple": ((126, 72, 165), ("purple", "violet")),
    "pink": ((238, 140, 170), ("pink", "rosy")),
    "brown": ((130, 88, 56), ("brown", "chestnut")),
    "grey": ((140, 143, 148), ("grey", "silver")),
    "white": ((243, 242, 238), ("white", "ivory")),
    "black": ((42, 42, 48), ("black", "ebony")),
}
# Texture of the background -> how a caption calls it ("" says nothing).
TEXTURES: dict[str, tuple[str, ...]] = {
    "plain": ("plain", "simple", ""),
    "stripes": ("striped", "banded"),
    "dots": ("spotted",),
    "checks": ("checked", "tiled"),
    "waves": ("wavy", "rippled"),
    "speckle": ("speckled", "rough"),
}
# Region -> share of the groups, and how often its Pins are saved against the first. The last is the hard slice:
# few Pins, few saves, and mostly of rare themes.
REGIONS: dict[str, tuple[float, float]] = {
    "north": (0.45, 1.0),
    "coast": (0.27, 0.9),
    "valley": (0.16, 0.8),
    "islands": (0.12, 0.4),
}


@dataclass(frozen=True)
class Scene:
    """What one Pin shows: `objects[i]` is drawn in `colours[i]`, the main one first."""

    theme: str
    style: str
    objects: tuple[str, ...]
    colours: tuple[str, ...]
    backdrop: str
    texture: str
    dark: bool


def stream(seed: int, domain: int, index: int = 0) -> np.random.Generator:
    """The random numbers of one thing alone, whatever was drawn before it: shards and order change nothing."""
    return np.random.Generator(np.random.Philox(key=[seed, index], counter=[0, 0, 0, domain]))


def pick(rng: np.random.Generator, items: Sequence[Item]) -> Item:
    """One of `items`, even odds; several times faster than `rng.choice` on short lists."""
    return items[int(rng.random() * len(items))]
