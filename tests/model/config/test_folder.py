"""config.json of a model folder of another version of the code: it is read where the network can be built by it."""

import json
import shutil
from dataclasses import fields
from pathlib import Path

import pytest

from model.config import TRAINED, FusionConfig, TextConfig, VisionConfig, load
from model.config.folder import NETWORK, complete_config, read_config, write_config
from model.errors import ModelError
from model.network.checkpoint import load_model

CONFIG = load("smoke", ["seed=3", "prepare.min_board_pins=5", "train.epochs=9", "quantization.bits=4"])


@pytest.fixture
def folder(tmp_path) -> Path:
    write_config(tmp_path, CONFIG)
    return tmp_path


def change(folder: Path, edit) -> None:
    """`edit` changes the tree of config.json in place."""
    tree = json.loads((folder / "config.json").read_text())
    edit(tree)
    (folder / "config.json").write_text(json.dumps(tree))


def test_it_holds_what_the_weights_follow_from(folder, caplog):
    assert read_config(folder).to_dict() == CONFIG.only(TRAINED).to_dict()
    assert caplog.messages == []
    with pytest.raises(AttributeError):
        read_config(folder).quantization  # noqa: B018


def test_what_judged_the_model_is_added_and_changes_nothing_that_is_there(folder):
    complete_config(folder, load("full", ["quantization.bits=4", "evaluation.max_queries=7"]))
    found = read_config(folder)
    assert (found.quantization.bits, found.evaluation.max_queries, found.profile) == (4, 7, "full")
    assert found.only(TRAINED).to_dict() == CONFIG.only(TRAINED).to_dict()


@pytest.mark.parametrize("section", [name for name in TRAINED if name != "seed"])
def test_a_renamed_key_of_any_section_leaves_the_model_readable(folder, section, caplog):
    """Its value has the default; the log names both names."""
    learning = {"vision": "layer_decay", "text": "trainable", "fusion": None}
    found = json.loads((folder / "config.json").read_text())[section]
    key = learning.get(section, next(iter(found)))

    def rename(tree: dict) -> None:
        tree[section]["called_otherwise"] = tree[section].pop(key) if key else 1

    change(folder, rename)
    read_config(folder)
    (said,) = caplog.messages
    assert f"{section}.called_otherwise is unknown" in said
    assert key is None or f"{section}.{key} has its default" in said


def test_sections_that_came_or_went_leave_the_model_readable(folder, caplog):
    def edit(tree: dict) -> None:
        tree["gate"] = {"min_gain": 1}
        tree["learning"] = tree.pop("train")
        del tree["seed"]

    change(folder, edit)
    found = read_config(folder)
    assert (found.train.epochs, found.seed) == (30, 0)
    (said,) = caplog.messages
    assert all(f"{name} is unknown" in said for name in ("gate", "learning"))


def test_a_value_that_no_longer_fits_has_its_default_and_the_others_stay(folder, caplog):
    def edit(tree: dict) -> None:
        tree["prepare"] |= {"min_board_pins": -3, "min_image_side": 9}

    change(folder, edit)
    found = read_config(folder).prepare
    assert (found.min_board_pins, found.min_image_side) == (2, 9)
    assert "prepare.min_board_pins is -3, so it has its default" in caplog.messages[0]


@pytest.mark.parametrize(("section", "key"), [(section, key) for section, keys in NETWORK.items() for key in keys])
def test_what_the_network_is_built_by_must_be_there(folder, section, key):
    change(folder, lambda tree: tree[section].pop(key))
    with pytest.raises(ModelError, match=rf"\({section}\.{key} is missing\); copy it again"):
        read_config(folder)


def test_a_network_that_a_newer_version_has_built_is_refused_with_the_key(folder):
    def edit(tree: dict) -> None:
        tree["vision"]["registers"] = 4
        tree["network"]["vision"].append("registers")

    change(folder, edit)
    with pytest.raises(ModelError, match=r"vision\.registers is of another version of this code"):
        read_config(folder)


def test_a_key_that_came_after_the_folder_has_the_default_that_builds_what_was_built_before(folder):
    def edit(tree: dict) -> None:
        del tree["fusion"]["global_level"]
        tree["network"]["fusion"].remove("global_level")

    change(folder, edit)
    assert read_config(folder).fusion.global_level


def test_a_folder_that_does_not_name_its_keys_has_to_have_all_of_ours(folder):
    """As the first versions wrote it: the whole tree, gate and monitoring among it."""
    change(folder, lambda tree: tree.pop("network"))
    assert read_config(folder).fusion.dim == CONFIG.fusion.dim
    change(folder, lambda tree: tree["text"].pop("heads"))
    with pytest.raises(ModelError, match=r"text\.heads is missing"):
        read_config(folder)


def test_a_value_that_builds_no_network_is_refused(folder):
    change(folder, lambda tree: tree["text"].update(width="wide"))
    with pytest.raises(ModelError, match=r"text\.width is 'wide'"):
        read_config(folder)


def test_every_key_of_the_network_builds_it_or_says_how_it_learned():
    learning = {"trainable", "trainable_layers", "layer_decay"}
    for name, section in {"vision": VisionConfig, "text": TextConfig, "fusion": FusionConfig}.items():
        assert {field.name for field in fields(section)} - learning == set(NETWORK[name])


def test_a_model_of_another_version_gives_the_same_weights(trained, tmp_path):
    folder = Path(shutil.copytree(trained[0], tmp_path / "model"))

    def edit(tree: dict) -> None:
        tree["train"]["warm_up"] = tree["train"].pop("warmup")
        tree["monitoring"] = {}

    change(folder, edit)
    ours, theirs = (load_model(one)[0].state_dict() for one in (trained[0], folder))
    assert all(ours[name].equal(theirs[name]) for name in ours)
