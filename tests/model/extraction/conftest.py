"""A tiny catalogue, two tiny frozen towers, and what they gave for it."""

import pytest
from tiny_towers import write_texts, write_vision

from model.config.overrides import override
from model.extraction.extract import extract


@pytest.fixture(scope="session")
def towers(tmp_path_factory):
    """Folders of checkpoints by family."""
    root = tmp_path_factory.mktemp("frozen-towers")
    return write_vision(root / "vision") | write_texts(root / "text")


@pytest.fixture(scope="session")
def joined(config, towers):
    """The tests' configuration with small towers beside two frozen ones."""
    vision = {"pretrained": str(towers["efficientnet_lite"]), "grid": 2, "patch": 8, "depths": [1, 1]}
    text = {"pretrained": str(towers["bert"]), "context": 16}
    frozen = {"trainable": "frozen", "join": "beside"}
    learning = {"fusion": {"skip": True}, "train": {"epochs": 2}}
    return override(config, {"vision": vision | frozen, "text": text | frozen} | learning)


@pytest.fixture(scope="session")
def extracted(tmp_path_factory, walked, joined):
    """(extraction.json, what it says), of the store beside it."""
    root = tmp_path_factory.mktemp("extracted")
    return root / "extraction.json", extract(walked[0], root / "store", root / "extraction.json", joined)
