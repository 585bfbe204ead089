"""A model with frozen towers and small ones beside them: ONNX Runtime says what PyTorch says."""

import json

import numpy as np
import pytest
import torch
from tiny import TINY
from tiny_towers import CORPUS, write_texts, write_vision

from model.config.overrides import override
from model.config.presets import load
from model.embedding.embedder import Embedder
from model.network.checkpoint import save_model
from model.network.encoder import PinEncoder
from model.network.text import train_tokenizer
from serving.encoder.on_cpu import OnnxEncoder

TEXTS = [{"title": "a red chair", "caption": "in a room"}, {}, {"title": "two cats on a sofa " * 8}]
FROZEN = {"trainable": "frozen", "join": "beside"}


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    root = tmp_path_factory.mktemp("towers")
    return write_vision(root / "vision") | write_texts(root / "text")


@pytest.fixture(scope="module", params=[("efficientnet_lite", "bert", "mean"), ("vit", "roberta", "cls")])
def both(request, tmp_path_factory, towers):
    """(PyTorch, ONNX Runtime) of a network with random weights on two frozen towers."""
    image_tower, text_tower, pooling = request.param
    folder = tmp_path_factory.mktemp("joined") / "model"
    pooled = towers[text_tower] / "1_Pooling" / "config.json"
    pooled.parent.mkdir(exist_ok=True)
    pooled.write_text(json.dumps({f"pooling_mode_{pooling}_token{'s' * (pooling == 'mean')}": True}), encoding="utf-8")
    vision = {"pretrained": str(towers[image_tower]), "grid": 2, "depths": [1, 1]}
    text = {"pretrained": str(towers[text_tower]), "context": 16}
    config = override(load("smoke", TINY), {"vision": vision | FROZEN, "text": text | FROZEN})
    torch.manual_seed(0)
    save_model(folder, PinEncoder(config), train_tokenizer(CORPUS, config.text))
    return Embedder(folder), OnnxEncoder(folder, folder.parent / "graphs", threads=1)


def test_pin_vectors_are_those_of_pytorch(both):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    present = np.array([True, True, False])
    expected, found = both[0].block(pixels, present, TEXTS)[0], both[1].pins(pixels, present, TEXTS)
    assert (expected * found).sum(1).min() > 1 - 1e-5
    assert (expected[0] * expected[1]).sum() < 1 - 1e-3  # not the same for every Pin


def test_query_vectors_are_those_of_pytorch(both):
    queries = ["a red chair", "cats", "tea " * 30, "☂"]
    expected, found = both[0].queries(queries), both[1].queries(queries)
    assert (expected * found).sum(1).min() > 1 - 1e-5
    assert (expected[0] * expected[1]).sum() < 1 - 1e-3


def test_pins_without_any_text_have_vectors(both):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = both[0].block(pixels, np.array([True, True]), [{}, {}])[0]
    assert (expected * both[1].pins(pixels, np.array([True, True]), [{}, {}])).sum(1).min() > 1 - 1e-5
