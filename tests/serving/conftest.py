"""What the tests of serving share: one tiny model, exported once, and the file of a registered one."""

import pytest


@pytest.fixture(scope="session")
def onnx_model(tmp_path_factory):
    """(model folder, folder of its ONNX graphs)."""
    from served_pins import tiny_model

    from serving.encoder.export import exported

    root = tmp_path_factory.mktemp("onnx")
    folder = tiny_model(root / "model")
    return folder, exported(folder, root / "graphs")


@pytest.fixture(scope="session")
def shipped(tmp_path_factory):
    from shipped_model import shipped_module

    return shipped_module(tmp_path_factory.mktemp("shipped"))
