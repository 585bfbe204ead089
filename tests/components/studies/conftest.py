"""What the tests of this room share: a tiny catalogue with planted truth, and settings that train on it in a second."""

import pytest

from components.studies.data import StudyData
from model.config import load
from model.sources.synthetic.generate import SyntheticConfig, generate

TINY = (
    "vision.width=32",
    "text.width=32",
    "text.vocabulary=400",
    "fusion.dim=32",
    "fusion.prefixes=16,32",
    "train.batch_size=32",
    "train.epochs=1",
    "train.precision=fp32",
)


@pytest.fixture(scope="session")
def config():
    return load("smoke", TINY)


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies") / "catalogue"
    generate(SyntheticConfig(pins=200, boards=40, image_size=32), folder)
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory, catalogue):
    return StudyData.of(catalogue, tmp_path_factory.mktemp("data"))
