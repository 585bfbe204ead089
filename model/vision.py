"""Image tower: a hybrid funnel ViT. Pixels -> convolutional stem -> transformer stages with token pooling between.

Shape legend: B Pins · S image side · L tokens · D width
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from model.config import VisionConfig
from model.layers import Block, FunnelBlock, initialise


class VisionTower(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        side = config.image_size // config.patch
        self.stem = _stem(config)
        self.position_LD = nn.Parameter(torch.randn(side * side, config.width) * 0.02)
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
        return (self.config.image_size // self.config.patch) ** 2 // 4 ** (len(self.config.depths) - 1)

    def forward(self, pixels_BSS3: Tensor) -> Tensor:
        """uint8 pixels (B, S, S, 3) -> tokens (B, L, D)."""
        x = pixels_BSS3.permute(0, 3, 1, 2).to(self.position_LD.dtype) / 127.5 - 1  # a channels-last view
        x_BLD = self.stem(x).flatten(2).transpose(1, 2) + self.position_LD
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
