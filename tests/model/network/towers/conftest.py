"""Tiny checkpoints of every family: those of the VLMs and those of tests/tiny_towers.py."""

import pytest
from tiny_towers import write_texts, write_vision


@pytest.fixture(scope="session")
def vision_towers(tmp_path_factory, checkpoints):
    return checkpoints | write_vision(tmp_path_factory.mktemp("vision-towers"))


@pytest.fixture(scope="session")
def text_towers(tmp_path_factory, checkpoints):
    return checkpoints | write_texts(tmp_path_factory.mktemp("text-towers"))
