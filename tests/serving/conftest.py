"""What the tests of serving share: one tiny model, exported once."""

import pytest


@pytest.fixture(scope="session")
def onnx_model(tmp_path_factory):
    """(model folder, folder of its ONNX graphs)."""
    from served_pins import tiny_model

    from serving.encoder.export import exported

    root = tmp_path_factory.mktemp("onnx")
    folder = tiny_model(root / "model")
    return folder, exported(folder, root / "graphs")
