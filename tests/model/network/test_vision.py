"""The image tower: how many tokens come out, and that each of them depends on the picture."""

import pytest
import torch

from model.config import VisionConfig
from model.network.vision import VisionTower


def pictures(count: int, side: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, side, side, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("patch", "depths", "tokens"),
    [(4, (1,), 64), (8, (1,), 16), (8, (1, 1), 4), (8, (1, 1, 1), 1), (16, (2, 1), 1), (4, (1, 1), 16)],
)
def test_tokens_by_patch_and_stages(patch, depths, tokens):
    tower = VisionTower(VisionConfig(image_size=32, patch=patch, width=16, depths=depths, heads=2))
    assert tower(pictures(2, 32)).shape == (2, tokens, 16)
    assert tower.tokens == tokens


def test_pictures_of_a_batch_do_not_meet():
    torch.manual_seed(0)
    tower = VisionTower(VisionConfig(image_size=32, patch=8, width=16, depths=(1, 1), heads=2)).eval()
    many = pictures(5, 32)
    assert torch.allclose(tower(many)[3:4], tower(many[3:4]), atol=1e-5)


def test_every_corner_of_the_picture_is_seen():
    torch.manual_seed(0)
    tower = VisionTower(VisionConfig(image_size=32, patch=8, width=16, depths=(1, 1), heads=2))
    picture = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    blank = tower(picture)
    for row, column in ((0, 0), (0, 31), (31, 0), (31, 31), (15, 15)):
        marked = picture.clone()
        marked[0, row, column] = 255
        assert not torch.allclose(tower(marked), blank)


def test_pixels_are_scaled_to_one():
    """Black is -1 and white is +1 before the first convolution."""
    tower = VisionTower(VisionConfig(image_size=32, patch=4, width=16, depths=(1,), heads=2))
    seen = []
    tower.stem[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    tower(torch.stack([torch.zeros(32, 32, 3), torch.full((32, 32, 3), 255)]).to(torch.uint8))
    assert (seen[0].shape, seen[0][0].unique().item(), seen[0][1].unique().item()) == ((2, 3, 32, 32), -1.0, 1.0)
