"""Image towers: pixels -> tokens.

VisionTower            from scratch, a hybrid funnel ViT: convolutional stem, stages with token pooling between
PretrainedVisionTower  the patch tokens of a pretrained tower, the funnel stages on top

Shape legend: B Pins · S image side · G patches a side · P patch side · L tokens · H the pretrained width · D width
"""

from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.config import VisionConfig
from model.network.layers import Block, FunnelBlock, initialise
from model.network.towers.fitting import grid_side
from model.network.towers.opening import open_tower


class VisionTower(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        side = config.own_size // config.patch
        self.stem = _stem(config)
        self.position_LD = nn.Parameter(nn.init.normal_(torch.empty(side * side, config.width), std=0.02))
        self.blocks = nn.ModuleList(
            (FunnelBlock if stage and layer == 0 else Block)(config.width, config.heads)
            for stage, depth in enumerate(config.depths)
            for layer in range(depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.blocks.apply(initialise)

    @property
    def tokens(self) -> int:
        """Tokens that leave the tower."""
        return (self.config.own_size // self.config.patch) ** 2 // 4 ** (len(self.config.depths) - 1)

    def forward(self, pixels_BSS3: Tensor) -> Tensor:
        """uint8 pixels (B, S, S, 3) -> tokens (B, L, D)."""
        return self.stages(self.stem_tokens(pixels_BSS3) + self.position_LD)

    def stem_tokens(self, pixels_BSS3: Tensor) -> Tensor:
        """The stem's map of the pixels at `own_size` (B, L, D), without positions."""
        x = pixels_BSS3.permute(0, 3, 1, 2).to(self.position_LD.dtype)  # a channels-last view
        if (shrink := self.config.image_size // self.config.own_size) > 1:
            x = F.avg_pool2d(x, shrink)  # first: scaling all pixels took longer than the stem
        return self.stem(x / 127.5 - 1).flatten(2).transpose(1, 2)

    def stages(self, x_BLD: Tensor) -> Tensor:
        for block in self.blocks:
            x_BLD = block(x_BLD)
        return self.norm(x_BLD)


def _stem(config: VisionConfig) -> nn.Sequential:
    """A stride-4 convolution, then overlapping stride-2 ones down to the patch grid (Xiao 2021, in fewer passes)."""
    halvings = config.patch.bit_length() - 3
    widths = [config.width >> (halvings - i) for i in range(halvings + 1)]
    layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, stride=4)]
    for before, after in pairwise(widths):
        layers += [nn.ReLU(), nn.Conv2d(before, after, 3, stride=2, padding=1)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


class PretrainedVisionTower(nn.Module):
    """A tower of model/network/towers; each of config.depths is a funnel stage on top.

    Raises:
        ModelError: the checkpoint cannot be used (model/network/towers), or not with this vision.image_size.
    """

    def __init__(self, config: VisionConfig, saved: Path | None = None) -> None:
        super().__init__()
        self.config = config
        self.tower = open_tower("vision", config, saved)
        self.side = grid_side(config, self.tower)
        width = self.tower.width
        self.project = nn.Identity() if width == config.width else nn.Linear(width, config.width)
        self.blocks = nn.ModuleList(
            (Block if layer else FunnelBlock)(config.width, config.heads)
            for depth in config.depths
            for layer in range(depth)
        )
        self.norm = nn.LayerNorm(config.width)
        self.blocks.apply(initialise)
        self.project.apply(initialise)

    @property
    def tokens(self) -> int:
        """Tokens that leave the tower."""
        return self.side**2 // 4 ** len(self.config.depths)

    def forward(self, pixels_BSS3: Tensor) -> Tensor:
        """uint8 pixels (B, S, S, 3) -> tokens (B, L, D)."""
        mean, std = (
            pixels_BSS3.new_tensor(self.tower.statistics[n], dtype=torch.float32) for n in ("image_mean", "image_std")
        )
        x_BSS3 = (pixels_BSS3.float() / 255 - mean) / std
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.trainable != "frozen"):
            x_BLH = self.tower(x_BSS3.permute(0, 3, 1, 2).to(self.tower.dtype))
        x_BLD = self.project(x_BLH)
        for block in self.blocks:
            x_BLD = block(x_BLD)
        return self.norm(x_BLD)
