"""The exported encoder says what PyTorch says on top of pretrained towers."""

import numpy as np
import pytest
import torch
from tiny_towers import write_texts, write_vision

from model.config import load
from model.embedding.embedder import Embedder
from model.network.checkpoint import save_model
from model.network.encoder import PinEncoder
from model.network.towers.words import load_tokenizer
from serving.encoder.on_cpu import OnnxEncoder

PAIRS = [("dinov2", "roberta"), ("swin", "mpnet"), ("dinov3_convnext", "modernbert")]
SENTENCES = [{"title": "a red chair"}, {"title": "tea", "caption": "tea and a cup on a sofa in a room, two cats"}, {}]


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    root = tmp_path_factory.mktemp("towers")
    return write_vision(root / "vision"), write_texts(root / "text")


@pytest.mark.parametrize(("vision", "text"), PAIRS)
def test_vectors_are_those_of_pytorch(towers, tmp_path, caplog, vision, text):
    folders = f"vision.pretrained={towers[0][vision]}", f"text.pretrained={towers[1][text]}"
    sizes = "vision.depths=1", "vision.width=32", "text.width=32", "text.context=20", "train.precision=fp32"
    config = load("smoke", [*folders, *sizes, "fusion.dim=32", "fusion.prefixes=16,32"])
    torch.manual_seed(0)
    encoder = PinEncoder(config).eval()
    save_model(tmp_path / "model", encoder, load_tokenizer(config.text))
    by_torch, by_onnx = Embedder(tmp_path / "model"), OnnxEncoder(tmp_path / "model", tmp_path / "graphs", threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    has_image = np.array([True, False, True])
    expected = by_torch.block(pixels, has_image, SENTENCES)[0]
    np.testing.assert_allclose(by_onnx.pins(pixels, has_image, SENTENCES), expected, atol=1e-4)
    queries = ["a blue chair", "two cats on a sofa in a room and a cup and tea", "tea"]
    np.testing.assert_allclose(by_onnx.queries(queries), by_torch.queries(queries), atol=1e-4)
    assert "cannot be traced" not in caplog.text
