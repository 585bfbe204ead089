"""PinEncoder: image, texts or both -> vectors of one space.

Three L2-normalised vectors of dimension E come out, comparable with each other by dot product:
  image   the image alone, for image–text alignment
  text    one text alone: a title, a caption, a query
  pin     the fused Pin, what is quantized, stored and served

Shape legend: B Pins · N texts · T tokens of all texts · L image tokens · D width · E vector dimension
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.config import Config, TextConfig, VisionConfig
from model.network.fusion import HybridFusion
from model.network.joined import JoinedTextTower, JoinedVisionTower, SkipHead, image_tower_key, text_tower_key
from model.network.layers import Packing
from model.network.text import PretrainedTextTower, Texts, TextTower, mean_pool
from model.network.towers.opening import learning_rate_shares, save_tower
from model.network.vision import PretrainedVisionTower, VisionTower


class PinEncoder(nn.Module):
    """`saved`: the model folder that pretrained towers are rebuilt from, whose weights the caller loads; None: they
    start with the weights of their checkpoints."""

    def __init__(self, config: Config, saved: Path | None = None) -> None:
        super().__init__()
        self.config = config
        self.vision = vision_tower(config.vision, saved)
        self.text = text_tower(config.text, saved)
        self.fusion = HybridFusion(config.fusion, config.vision.width, config.text.width)
        self.image_head = nn.Linear(config.vision.width, config.fusion.dim)
        self.text_head = nn.Linear(config.text.width, config.fusion.dim)
        if isinstance(self.vision, JoinedVisionTower):
            self.image_skip = SkipHead(self.vision.tower.width, config.fusion.dim)
        if isinstance(self.text, JoinedTextTower):
            self.text_skip = SkipHead(self.text.tower.width, config.fusion.dim)

    @property
    def joined_text(self) -> JoinedTextTower | None:
        """The text tower, where it wants what is kept of each text."""
        return self.text if isinstance(self.text, JoinedTextTower) else None

    def kept_towers(self) -> tuple[str | None, str | None]:
        """Names of what is kept of the frozen image and text tower; None where there is none."""
        vision, text = self.vision, self.joined_text
        return (
            image_tower_key(vision.tower, self.config.vision) if isinstance(vision, JoinedVisionTower) else None,
            text_tower_key(text.tower, text.words, self.config.text) if text else None,
        )

    def learning_rate_shares(self) -> dict[str, float]:
        """Share of the learning rate of the pretrained parameters, by name; all others learn at the whole of it."""
        shares: dict[str, float] = {}
        for name, part in (("vision", self.vision), ("text", self.text)):
            if isinstance(part, PretrainedVisionTower | PretrainedTextTower):
                found = learning_rate_shares(part.tower, part.config)
                shares |= {f"{name}.tower.{parameter}": share for parameter, share in found.items()}
        return shares

    def save_towers(self, folder: Path) -> None:
        """Writes what `saved` needs of the pretrained towers into the model folder."""
        if isinstance(self.vision, PretrainedVisionTower | JoinedVisionTower):
            save_tower(folder / "vision", self.vision.tower)
        if isinstance(self.text, PretrainedTextTower | JoinedTextTower):
            save_tower(folder / "text", self.text.tower)
        if joined := self.joined_text:
            joined.words.save(str(folder / "text" / "tokenizer.json"))

    def kept_images(self, pixels_BSS3: Tensor, kept_BLH: Tensor | None = None) -> Tensor | None:
        """kept_BLH, what is kept of the images; computed where it is not known; None without a tower that is kept."""
        if not isinstance(self.vision, JoinedVisionTower):
            return None
        return self.vision.kept(pixels_BSS3) if kept_BLH is None else kept_BLH

    def encode_images(self, pixels_BSS3: Tensor, kept_BLH: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """uint8 pixels, and what is kept of them where that is known -> (image vectors (B, E), tokens (B, L, D))."""
        kept_BLH = self.kept_images(pixels_BSS3, kept_BLH)
        if kept_BLH is None:
            tokens_BLD = self.vision(pixels_BSS3)
            return F.normalize(self.image_head(tokens_BLD.mean(1)).float(), dim=-1), tokens_BLD
        tokens_BLD = self.vision(pixels_BSS3, kept_BLH)
        vectors_BE = self.image_head(tokens_BLD.mean(1)) + self.image_skip(kept_BLH.mean(1))
        return F.normalize(vectors_BE.float(), dim=-1), tokens_BLD

    def encode_texts(self, texts: Texts) -> tuple[Tensor, Tensor]:
        """Packed texts -> (text vectors (N, E), tokens (T, D))."""
        tokens_TD = self.text(texts, Packing.of(texts.lengths_N))
        return self.text_vectors(mean_pool(tokens_TD, texts.lengths_N), texts), tokens_TD

    def text_vectors(self, pooled_ND: Tensor, texts: Texts) -> Tensor:
        """The vectors (N, E) of texts whose mean tokens are pooled_ND."""
        vectors_NE = self.text_head(pooled_ND)
        if texts.kept_NH is not None:
            vectors_NE = vectors_NE + self.text_skip(texts.kept_NH)
        return F.normalize(vectors_NE.float(), dim=-1)

    def fuse(
        self,
        image_BLD: Tensor,
        has_image_B: Tensor,
        text_TD: Tensor,
        texts: Texts,
        owner_N: Tensor,
        kept_BLH: Tensor | None = None,
    ) -> Tensor:
        """Pin vectors (B, E). owner_N names the Pin of each text, -1 for a text that belongs to no Pin (a query);
        kept_BLH: as kept_images() returns it."""
        order_N = torch.argsort(owner_N, stable=True)
        order_N = order_N[owner_N[order_N] >= 0]
        starts_N = torch.cumsum(texts.lengths_N, 0) - texts.lengths_N
        lengths = texts.lengths_N[order_N]
        within = torch.arange(int(lengths.sum()), device=lengths.device)
        within = within - torch.repeat_interleave(torch.cumsum(lengths, 0) - lengths, lengths)
        chosen_TD = text_TD[torch.repeat_interleave(starts_N[order_N], lengths) + within]
        owner_T = torch.repeat_interleave(owner_N[order_N], lengths)
        per_pin_B = torch.bincount(owner_T, minlength=has_image_B.numel())
        mean_BD = mean_pool(chosen_TD, per_pin_B)
        vectors_BE = self.fusion(image_BLD, has_image_B, chosen_TD, owner_T, mean_BD)
        if not self.config.fusion.skip:
            return F.normalize(vectors_BE, dim=-1)
        count_B = torch.bincount(owner_N[order_N], minlength=has_image_B.numel())
        kept_BH = None if texts.kept_NH is None else mean_pool(texts.kept_NH[order_N], count_B)
        return F.normalize(self.past_fusion(vectors_BE, kept_BLH, has_image_B, kept_BH, count_B > 0), dim=-1)

    def past_fusion(
        self,
        vectors_BE: Tensor,
        kept_BLH: Tensor | None,
        has_image_B: Tensor,
        kept_BH: Tensor | None,
        has_text_B: Tensor,
    ) -> Tensor:
        """vectors_BE, the outcome of fusion, and what is kept of the images and of the Pins' texts (B, H) added to it.

        By the heads of the image and text vectors: with heads of its own Search fell from 0.84 to 0.51 on Pins with new
        words (docs/experiments.md).
        """
        if kept_BLH is not None:
            vectors_BE = vectors_BE + self.image_skip(kept_BLH.mean(1)) * has_image_B[:, None]
        if kept_BH is not None:
            vectors_BE = vectors_BE + self.text_skip(kept_BH) * has_text_B[:, None]
        return vectors_BE


def vision_tower(config: VisionConfig, saved: Path | None) -> VisionTower | PretrainedVisionTower:
    if config.kept:
        return JoinedVisionTower(config, saved)
    return PretrainedVisionTower(config, saved) if config.pretrained else VisionTower(config)


def text_tower(config: TextConfig, saved: Path | None) -> TextTower | PretrainedTextTower:
    if config.kept:
        return JoinedTextTower(config, saved)
    return PretrainedTextTower(config, saved) if config.pretrained else TextTower(config)


def prefixes(vector_BE: Tensor, lengths: tuple[int, ...]) -> list[Tensor]:
    """Nested Matryoshka prefixes, each normalised again (Kusupati 2022)."""
    return [F.normalize(vector_BE[:, :length], dim=-1) for length in lengths]
