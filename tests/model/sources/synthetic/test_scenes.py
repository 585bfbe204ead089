"""The pictures: everything can be drawn, styles show, and neither place nor colour gives a theme away."""

import dataclasses
import io
import itertools

import numpy as np
import pytest
from PIL import Image

from model.sources.synthetic.planting import plant
from model.sources.synthetic.scenes import render_scene
from model.sources.synthetic.shapes import SHAPES
from model.sources.synthetic.styles import STYLES
from model.sources.synthetic.themes import COLOURS, OBJECTS, TEXTURES, THEMES, Scene

SCENE = Scene("city", "neon", ("car", "bird"), ("red", "blue"), "grey", "dots", dark=True)


@pytest.fixture(scope="module")
def plan():
    return plant(1200, 7, 0.2)


def decoded(data):
    """uint8 (size, size, 3)."""
    return np.asarray(Image.open(io.BytesIO(data)))


def picture(plan, pin):
    return decoded(render_scene(plan.scene(pin), plan.seed, int(plan.group[pin]), pin, 64))


@pytest.mark.parametrize("size", [16, 64, 100])
def test_images_decode_at_the_size_asked_for(size):
    assert decoded(render_scene(SCENE, 0, 0, 0, size)).shape == (size, size, 3)


def test_every_word_of_the_world_can_be_drawn():
    assert set(SHAPES) == set(OBJECTS)
    assert all(np.abs(points).max() <= 1.05 for parts in SHAPES.values() for points, _ in parts)
    assert all(set(theme.objects) <= set(OBJECTS) and set(theme.colours) <= set(COLOURS) for theme in THEMES.values())


def test_every_style_and_texture_changes_the_picture():
    drawn = {
        render_scene(dataclasses.replace(SCENE, texture=texture, style=style), 0, 0, 0, 32)
        for texture, style in itertools.product(TEXTURES, STYLES)
    }
    assert len(drawn) == len(TEXTURES) * len(STYLES)


def test_variants_of_a_group_share_the_scene_and_not_the_picture(plan):
    first = int(np.flatnonzero(plan.group[1:] == plan.group[:-1])[0])
    assert plan.scene(first) == plan.scene(first + 1)
    assert not np.array_equal(picture(plan, first), picture(plan, first + 1))


def test_variants_look_more_alike_than_strangers(plan):
    firsts = np.flatnonzero(plan.group[1:] == plan.group[:-1])[:60]
    one = np.stack([picture(plan, int(pin)) for pin in firsts]).astype(np.float32)
    other = np.stack([picture(plan, int(pin) + 1) for pin in firsts]).astype(np.float32)
    variants, strangers = np.abs(one - other).mean(), np.abs(one - np.roll(other, 7, axis=0)).mean()
    assert 3 < variants < 0.7 * strangers


def detail(images):
    """A few statistics of fine detail and tone, blind to where and what: float32 (pins, 11)."""
    steps = [np.abs(np.diff(images, n, axis=axis)) for axis in (1, 2) for n in (1, 2)]
    edges = [step.mean(axis=(1, 2, 3)) for step in steps] + [np.median(step, axis=(1, 2, 3)) for step in steps]
    tone = [images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3)), np.ptp(images, axis=3).mean(axis=(1, 2))]
    return np.stack([*edges, *tone], axis=1)


def nearest_centroid(values, labels):
    """Accuracy on the second half of centroids fitted on the first."""
    half = len(labels) // 2
    values = (values - values[:half].mean(axis=0)) / (values[:half].std(axis=0) + 1e-6)
    classes = np.unique(labels)
    centroids = np.stack([values[:half][labels[:half] == code].mean(axis=0) for code in classes])
    distance = ((values[half:, None] - centroids) ** 2).sum(axis=2)
    return (classes[distance.argmin(axis=1)] == labels[half:]).mean()


def test_styles_can_be_seen_and_themes_cannot_be_read_off_the_pixels(plan):
    pins = np.flatnonzero(np.diff(plan.group, prepend=-1))[:600]  # one Pin a group: no near copies
    images = np.stack([picture(plan, int(pin)) for pin in pins]).astype(np.float32)
    assert 0.4 < nearest_centroid(detail(images), plan.style[pins]) < 0.95, "visible, and not at once"
    assert nearest_centroid(images.reshape(len(pins), -1)[:, ::7], plan.theme[pins]) < 0.35, "no colour, no place"
