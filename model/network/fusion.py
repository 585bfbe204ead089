"""Hybrid fusion: one Pin vector from image tokens and text tokens.

Token level: a transformer over [PIN], the image's tokens and the texts' tokens reads fine detail across modalities.
Global level: the pooled image and the pooled text, weighed by a learned gate, keep what each modality says as a whole.
The Pin vector is the sum of the two. A missing image or text is simply absent from the tokens, and a learned vector
stands in for it at the gate.

Shape legend: B Pins · L image tokens · T text tokens of all Pins · D width · E vector dimension
"""

import torch
from torch import Tensor, nn

from model.config import FusionConfig
from model.network.layers import Block, Packing, initialise


class HybridFusion(nn.Module):
    def __init__(self, config: FusionConfig, vision_width: int, text_width: int) -> None:
        super().__init__()
        self.config = config
        width = text_width
        self.from_image = nn.Linear(vision_width, width)
        if config.token_level:
            self.pin_D = nn.Parameter(nn.init.normal_(torch.empty(width), std=0.02))
            self.modality_2D = nn.Parameter(nn.init.normal_(torch.empty(2, width), std=0.02))
            self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.layers))
            self.token_out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.dim))
        if config.global_level:
            self.missing_2D = nn.Parameter(torch.zeros(2, width))
            self.gate = nn.Sequential(nn.Linear(2 * width, width), nn.Sigmoid())
            self.global_out = nn.Sequential(
                nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, config.dim)
            )
        self.apply(initialise)

    def forward(
        self, image_BLD: Tensor, has_image_B: Tensor, text_TD: Tensor, text_owner_T: Tensor, text_mean_BD: Tensor
    ) -> Tensor:
        """Unnormalised Pin vectors (B, E).

        text_TD: the text tokens of all Pins, ordered by Pin; text_owner_T: the Pin of each, ascending.
        text_mean_BD: the mean text token of each Pin (anything where a Pin has none).
        """
        image_BLD = self.from_image(image_BLD)
        lengths_B = torch.bincount(text_owner_T, minlength=has_image_B.numel())
        vectors = []
        if self.config.token_level:
            vectors.append(self._token_level(image_BLD, has_image_B, text_TD, text_owner_T, lengths_B))
        if self.config.global_level:
            vectors.append(self.global_level(image_BLD.mean(1), has_image_B, text_mean_BD, lengths_B > 0))
        return torch.stack([v.float() for v in vectors]).sum(0)

    def _token_level(
        self, image_BLD: Tensor, has_image_B: Tensor, text_TD: Tensor, text_owner_T: Tensor, lengths_B: Tensor
    ) -> Tensor:
        pins, tokens, _ = image_BLD.shape
        image_ID = (image_BLD[has_image_B] + self.modality_2D[0]).flatten(0, 1)
        owner_I = has_image_B.nonzero()[:, 0].repeat_interleave(tokens)
        text_TD = text_TD + self.modality_2D[1]
        everything_XD = torch.cat([self.pin_D.expand(pins, -1), image_ID, text_TD])
        owner_X = torch.cat([torch.arange(pins, device=owner_I.device), owner_I, text_owner_T])
        x_XD = everything_XD[torch.argsort(owner_X, stable=True)]  # [PIN] first in each Pin's sequence
        lengths = 1 + has_image_B * tokens + lengths_B
        packing = Packing.of(lengths)
        for block in self.blocks:
            x_XD = block(x_XD, packing)
        return self.token_out(x_XD[torch.cumsum(lengths, 0) - lengths])

    def global_level(self, image_BD: Tensor, has_image_B: Tensor, text_BD: Tensor, has_text_B: Tensor) -> Tensor:
        image_BD = torch.where(has_image_B[:, None], image_BD, self.missing_2D[0])
        text_BD = torch.where(has_text_B[:, None], text_BD, self.missing_2D[1])
        gate_BD = self.gate(torch.cat([image_BD, text_BD], dim=-1))
        return self.global_out(gate_BD * image_BD + (1 - gate_BD) * text_BD)
