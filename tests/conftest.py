"""What tests of several folders share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file share fixtures, and so do files that name a group: one process runs them."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.location[0]))


@pytest.fixture(scope="session")
def features_home(tmp_path_factory):
    """An empty home of features; `features_home.beside(folder)` is another, without the seconds that MLflow takes."""
    from feature_home import Home

    return Home(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="session")
def redis(tmp_path_factory) -> Iterator["object"]:
    """A real redis-server, one for all tests; those that stop it start one of their own."""
    from feature_home import redis_server

    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def screenshots(pytestconfig) -> Path:
    """Where pages show what they looked like: .pytest_cache/screenshots, or PINCLIP_SCREENSHOTS."""
    folder = Path(os.environ.get("PINCLIP_SCREENSHOTS", pytestconfig.rootpath / ".pytest_cache" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
