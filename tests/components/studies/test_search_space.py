"""The space: what the file may say, one sentence where it says something else, and values as `--set` takes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.studies.search_space import Choices, Range, as_text, read_space, setting_value, with_settings
from model.config import load
from model.errors import ConfigError
from pipelines.cli.studies import SPACE


def test_the_space_of_the_repository_works_with_every_profile():
    for profile in ("smoke", "demo", "full"):
        assert "train.learning_rate" in read_space(SPACE, load(profile))


def test_ranges_and_choices(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text(
        "train.learning_rate: {from: 0.001, to: 0.01, log: true}\n"
        "train.hide_text: {from: 0, to: 0.5}\n"
        "vision.depths: {choices: ['4', '2,2']}\n"
    )
    space = read_space(path, load("demo"))
    assert space == {
        "train.learning_rate": Range(0.001, 0.01, True),
        "train.hide_text": Range(0.0, 0.5, False),
        "vision.depths": Choices(["4", "2,2"]),
    }
    rng = np.random.default_rng(0)
    drawn = [space["train.learning_rate"].draw(rng) for _ in range(50)]
    assert all(0.001 <= value <= 0.01 for value in drawn)
    assert 15 < sum(value < 0.001 * 10**0.5 for value in drawn) < 35  # log: half of them below the middle
    assert {space["vision.depths"].draw(rng) for _ in range(50)} == {"4", "2,2"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no settings"),
        ("train: [", "Cannot read the space"),
        ("train.learning_rate: 0.1", "is 0.1; write {from: a, to: b}"),
        ("train.learning_rate: {from: 0.1}", "write {from: a, to: b}"),
        ("train.learning_rate: {choices: []}", "write {from: a, to: b}"),
        ("train.learning_rate: {from: 0.1, to: 0.01}", "give rising numbers"),
        ("train.learning_rate: {from: 0, to: 1, log: true}", "above 0 where log"),
        ("train.learning_rat: {from: 0.1, to: 1}", "did you mean train.learning_rate"),
        ("train.hide_text: {from: 0.5, to: 0.95}", "shares that add up to at most 1"),
        ("split.fresh_share: {from: 0.1, to: 0.2}", "decides who is judged; leave it out"),
        ("seed: {choices: [1, 2]}", "decides who is judged; leave it out"),
    ],
)
def test_what_cannot_be_searched_is_refused(tmp_path, text, says):
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_space(path, load("demo"))


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"Cannot read the space .* check --space"):
        read_space(tmp_path / "nowhere.yaml", load("demo"))


def test_a_whole_number_drawn_from_a_range_is_rounded():
    assert with_settings(load("demo"), {"train.batch_size": 70.6}).train.batch_size == 71


@given(st.floats(1e-5, 0.5), st.sampled_from([64, 128]))
def test_what_is_written_is_what_was_tried(rate, size):
    """A printed --set line gives the configuration of the trial."""
    config = load("demo")
    tried = with_settings(config, {"train.learning_rate": rate, "train.batch_size": size, "vision.depths": "4"})
    keys = ("train.learning_rate", "train.batch_size", "vision.depths")
    assert load("demo", [f"{key}={as_text(setting_value(tried, key))}" for key in keys]) == tried
