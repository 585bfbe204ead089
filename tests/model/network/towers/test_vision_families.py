"""Every family of vision towers gives the tokens that transformers gives, learns where told and can be rebuilt."""

import pytest
import torch
from tiny_towers import VISION
from transformers import AutoModel

from model.config import VisionConfig
from model.network.towers.fingerprint import fingerprint
from model.network.towers.opening import open_tower, outline, save_tower

FAMILIES = ("siglip", "siglip2", "clip", *VISION, "efficientnet_lite")
FIXED = ("siglip", "clip", "vit", "swin")


@pytest.fixture(params=FAMILIES)
def folder(request, vision_towers):
    return vision_towers[request.param]


def opened(folder, saved=None, **settings):
    return open_tower("vision", VisionConfig(pretrained=str(folder), image_size=32, **settings), saved)


def pixels(side: int = 32) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("family", VISION)
@torch.no_grad()
def test_tokens_are_those_of_transformers(vision_towers, family):
    """By hand: class and register tokens come first, a map is read row after row."""
    whole = AutoModel.from_pretrained(vision_towers[family]).eval()
    found = whole(pixel_values=pixels()).last_hidden_state
    first = {"vit": 1, "dinov2": 1, "dinov2_with_registers": 5, "dinov3_vit": 3, "dinov3_convnext": 1}.get(family, 0)
    expected = found.permute(0, 2, 3, 1).reshape(2, 16, 40) if found.ndim == 4 else found[:, first:]
    tokens = opened(vision_towers[family])(pixels())
    assert tokens.shape == (2, 16, 40)
    assert torch.allclose(tokens, expected, atol=1e-5)
    assert expected.std() > 0.1


def test_what_a_tower_says_of_itself(folder):
    tower = opened(folder)
    assert (tower.width, tower.patch, tower.side(32)) == (40, 8, 4)
    assert tower.image_size == (32 if folder.name in FIXED else None)
    assert all(len(tower.statistics[name]) == 3 for name in ("image_mean", "image_std"))
    described = outline("vision", str(folder))
    assert (described.width, described.patch, described.image_size) == (tower.width, tower.patch, tower.image_size)


@torch.no_grad()
def test_any_multiple_of_the_patch(folder):
    if folder.name not in FIXED:
        assert opened(folder)(pixels(48)).shape == (2, 36, 40)


def test_every_parameter_gets_a_gradient(folder):
    """Workers that share gradients wait for ever for one that never comes."""
    tower = opened(folder)
    tower(pixels()).square().sum().backward()
    assert [name for name, value in tower.named_parameters() if value.grad is None] == []


def test_the_same_twice_while_it_learns(folder):
    """No dropout, no stochastic depth, and running statistics that stand still."""
    tower = opened(folder)
    tower.train()
    before = {name: value.clone() for name, value in tower.named_buffers()}
    assert torch.equal(tower(pixels()), tower(pixels()))
    assert all(torch.equal(value, before[name]) for name, value in tower.named_buffers())


def test_only_the_last_layer_learns(folder):
    tower = opened(folder, trainable="last", trainable_layers=1)
    heights, layers = tower.heights(), tower.layers
    assert sorted(set(heights.values())) == list(range(layers + 1))
    learning = {name for name, value in tower.named_parameters() if value.requires_grad}
    assert learning == {name for name, height in heights.items() if height == layers}
    assert not any("embed" in name or "stem" in name for name in learning)
    tower(pixels()).square().sum().backward()


@torch.no_grad()
def test_rebuilt_from_a_model_folder(folder, tmp_path):
    tower = opened(folder)
    save_tower(tmp_path / "model" / "vision", tower)
    again = opened("nowhere", saved=tmp_path / "model")
    again.load_state_dict(tower.state_dict())
    assert torch.equal(again(pixels()), tower(pixels()))
    assert again.statistics == tower.statistics
    assert fingerprint(again) == fingerprint(tower)
