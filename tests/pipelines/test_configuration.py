"""Profile, then the parameter file, then --set: who wins, and what a mistake gets."""

from pathlib import Path

import pytest

from components.configuration import load
from model.errors import ConfigError
from pipelines.configuration import configuration


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return path


def test_without_anything_it_is_the_demo_profile():
    assert configuration(None, None, []) == load("demo")


def test_later_layers_win(tmp_path):
    params = file(tmp_path, "profile: smoke\ntrain:\n  epochs: 7\n  batch_size: 32\nfusion:\n  prefixes: [16, 64]\n")
    config = configuration(None, params, ["train.epochs=9"])
    assert config.profile == "smoke"
    assert (config.train.epochs, config.train.batch_size) == (9, 32)
    assert config.fusion.prefixes == (16, 64)


def test_a_profile_on_the_command_line_beats_the_files(tmp_path):
    assert configuration("smoke", file(tmp_path, "profile: full\n"), []) == load("smoke")


def test_the_section_of_generate_is_passed_over(tmp_path):
    assert configuration(None, file(tmp_path, "generate:\n  pins: 5\nseed: 3\n"), []).seed == 3


def test_an_empty_file_changes_nothing(tmp_path):
    assert configuration(None, file(tmp_path, ""), []) == load("demo")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("train:\n  epoch: 3\n", "did you mean train.epochs"),
        ("trian:\n  epochs: 3\n", "did you mean train"),
        ("train: 3\n", "'train' is a section"),
        ("train: [\n", "no YAML at line"),
        ("- 1\n", "holds no sections"),
        ("train:\n  epochs: many\n", "choose a valid integer"),
        ("profile: huge\n", "no profile 'huge'"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says) as caught:
        configuration(None, file(tmp_path, text), [])
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path):
    (tmp_path / "params.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="no YAML"):
        configuration(None, tmp_path / "params.yaml", [])
    with pytest.raises(ConfigError, match="No such file"):
        configuration(None, tmp_path / "other.yaml", [])
