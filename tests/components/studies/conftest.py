"""What the tests of this room share: a tiny catalogue with planted truth, and settings that train on it in a second."""

import pytest
from tiny import TINY, tiny_catalogue

from components.studies.data import StudyData
from model.config import load


@pytest.fixture(scope="session")
def config():
    return load("smoke", TINY)


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory):
    return tiny_catalogue(tmp_path_factory.mktemp("studies"))


@pytest.fixture(scope="session")
def data(tmp_path_factory, catalogue):
    return StudyData.of(catalogue, tmp_path_factory.mktemp("data"))
