"""A model with frozen towers and small ones beside them: ONNX Runtime says what PyTorch says."""

import numpy as np
import pandas as pd
import pytest
import torch
from pictures import encoded, noise
from shipped_model import opened
from tiny import TINY
from tiny_towers import CORPUS, write_texts, write_vision

from model.config.overrides import override
from model.config.presets import load
from model.embedding.embedder import Embedder
from model.network.checkpoint import save_model
from model.network.encoder import PinEncoder
from model.network.text import train_tokenizer
from serving.encoder.inputs import PaddedIds
from serving.encoder.on_cpu import OnnxEncoder
from serving.encoder.padded import PaddedSentences

TEXTS = [{"title": "a red chair", "caption": "in a room " * 5}, {}, {"title": "two cats on a sofa " * 8}]
FROZEN = {"trainable": "frozen", "join": "beside"}


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    root = tmp_path_factory.mktemp("towers")
    return write_vision(root / "vision") | write_texts(root / "text")


@pytest.fixture(scope="module")
def config(towers):
    """Two frozen towers as in the profile `pilot`, tiny."""
    vision = {"pretrained": str(towers["efficientnet_lite"]), "grid": 2, "depths": [1, 1]}
    text = {"pretrained": str(towers["bert"]), "context": 16}
    joined = {"vision": vision | FROZEN, "text": text | FROZEN, "fusion": {"skip": True}}
    return override(load("smoke", TINY), joined)


@pytest.fixture(scope="module")
def both(tmp_path_factory, config):
    """(PyTorch, ONNX Runtime, model folder) of a network with random weights."""
    folder = tmp_path_factory.mktemp("joined") / "model"
    torch.manual_seed(0)
    save_model(folder, PinEncoder(config), train_tokenizer(CORPUS, config.text))
    return Embedder(folder), OnnxEncoder(folder, folder.parent / "graphs", threads=1), folder


def test_pin_vectors_are_those_of_pytorch(both):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    present = np.array([True, True, False])
    expected, found = both[0].block(pixels, present, TEXTS)[0], both[1].pins(pixels, present, TEXTS)
    assert (expected * found).sum(1).min() > 1 - 1e-5
    assert (expected[0] * expected[1]).sum() < 1 - 1e-3  # not the same for every Pin


@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
def test_padded_sentences_are_those_of_packed_texts(config, pooling):
    encoder = PinEncoder(config).eval()
    encoder.text.tower.pooling = pooling
    texts = ["a red chair", "tea", "two cats on a sofa " * 8]
    ids = PaddedIds.of(encoder.text.words, texts, [0] * len(texts), config.text.context)
    padded = PaddedSentences(encoder)(torch.from_numpy(ids.ids_NL), torch.from_numpy(ids.lengths_N))
    assert torch.allclose(padded, encoder.text.kept(texts), atol=1e-5)


def test_the_registered_model_gives_the_same_vectors(both, shipped, tmp_path):
    folder = both[2]
    model = opened(shipped, folder, folder.parent / "graphs", tmp_path)
    image = encoded(noise(40, 50), "PNG")
    rows = [{"image": image, **TEXTS[0]}, {"query": "a red chair"}, TEXTS[2], {"image": image}]
    expected = both[0].pins([image, None, image], [TEXTS[0], TEXTS[2], {}])
    expected = np.insert(expected, 1, both[0].queries(["a red chair"])[0], axis=0)
    found = np.stack(model.predict(None, pd.DataFrame(rows))["vector"])
    assert (found * expected).sum(1).min() > 1 - 1e-5


def test_query_vectors_are_those_of_pytorch(both):
    queries = ["a red chair", "cats", "tea " * 30, "☂"]
    expected, found = both[0].queries(queries), both[1].queries(queries)
    assert (expected * found).sum(1).min() > 1 - 1e-5
    assert (expected[0] * expected[1]).sum() < 1 - 1e-3


def test_pins_without_any_text_have_vectors(both):
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    expected = both[0].block(pixels, np.array([True, True]), [{}, {}])[0]
    assert (expected * both[1].pins(pixels, np.array([True, True]), [{}, {}])).sum(1).min() > 1 - 1e-5
