"""The service, started once for most tests of this folder: two spaces of drawn Pins, no token, small limits."""

import shutil
from collections.abc import Iterator

import pytest
import served_pins
from served_pins import Process

LIMITS = {"at_once": 8, "max_bytes": 1_000_000, "max_pins": 16, "max_image_bytes": 200_000, "max_text": 500}


@pytest.fixture(scope="session")
def published(features_home, tmp_path_factory, onnx_model):
    """(files of the spaces, oldest first; folder of the catalogue)"""
    home = features_home.beside(tmp_path_factory.mktemp("served"))
    home.prepared = served_pins.catalogue(home.root / "drawn")
    files = [served_pins.publish(home, onnx_model[0], name) for name in ("older", "newer")]
    for one in files:
        shutil.copytree(onnx_model[1], one.state / "encoder")
    return files, home.prepared / "catalogue"


@pytest.fixture(scope="session")
def service(published, tmp_path_factory) -> Iterator[Process]:
    process = Process(*published, tmp_path_factory.mktemp("service") / "log", **LIMITS)
    yield process
    assert process.stop() == 0, process.log.read_text()[-4000:]


@pytest.fixture(params=["sqlite", "redis"])
def home(request, features_home, tmp_path, monkeypatch):
    address = request.getfixturevalue("redis").address if request.param == "redis" else ""
    monkeypatch.setenv("PINCLIP_REDIS", address)
    home = features_home.beside(tmp_path, address)
    home.prepared = served_pins.catalogue(tmp_path / "drawn")
    return home


@pytest.fixture
def files(home, onnx_model):
    files = served_pins.publish(home, onnx_model[0], "quantized-of-the-test")
    shutil.copytree(onnx_model[1], files.state / "encoder")
    return files
