"""Frozen pretrained towers, and small towers of our own that learn beside them.

What a frozen tower gives for an image or a text never changes, so it is computed once and kept (model/extraction):

JoinedVisionTower   the map of an image, pooled to G x G tokens, added to the tokens of our own stem at the same places
JoinedTextTower     the sentence vector of a text, added to each token of our own text tower

Both are projected to our width below the first transformer block, and also lead to the vectors directly (SkipHead),
because a narrow network would lose most of what a wide tower knows; with fusion.skip to the Pin vector too. Where
nothing is given, they are computed here.

Shape legend: B Pins · S image side · G tokens a side · L tokens · N texts · T tokens of all texts · D width
H width of the frozen tower · E vector dimension
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor, nn

from model.config import TextConfig, VisionConfig
from model.network.layers import Packing, initialise
from model.network.limits import read_tokenizer
from model.network.text import Texts, TextTower, encode_texts, mean_pool, pack_texts
from model.network.towers.backbone import TextBackbone, VisionBackbone
from model.network.towers.fingerprint import fingerprint
from model.network.towers.fitting import check_context, check_grid
from model.network.towers.opening import open_tower
from model.network.towers.words import load_tokenizer
from model.network.vision import VisionTower

HIDDEN = 512  # width of a SkipHead
STATISTICS = ("image_mean", "image_std")


class JoinedVisionTower(VisionTower):
    """Raises ModelError where the checkpoint cannot be used, or not with this vision.image_size."""

    def __init__(self, config: VisionConfig, saved: Path | None = None) -> None:
        super().__init__(config)
        self.tower = open_tower("vision", config, saved)
        check_grid(config, self.tower)
        if config.join != "beside":
            self.stem = nn.Sequential()
        self.project = _project(self.tower.width, config.width)

    def kept(self, pixels_BSS3: Tensor) -> Tensor:
        """What is kept of uint8 pixels (B, G * G, H)."""
        return pooled_map(self.tower, pixels_BSS3, self.config.grid)

    def forward(self, pixels_BSS3: Tensor, kept_BLH: Tensor | None = None) -> Tensor:
        """uint8 pixels (B, S, S, 3), and what is kept of them -> tokens (B, L, D)."""
        kept_BLH = self.kept(pixels_BSS3) if kept_BLH is None else kept_BLH
        x_BLD = self.project(kept_BLH.to(self.position_LD.dtype)) + self.position_LD
        if self.config.join == "beside":
            x_BLD = x_BLD + self.stem_tokens(pixels_BSS3)
        return self.stages(x_BLD)


class JoinedTextTower(TextTower):
    """Raises ModelError where the checkpoint cannot be used, or text.context is beyond its positions.

    `words`: the tokenizer of the frozen tower.
    """

    def __init__(self, config: TextConfig, saved: Path | None = None) -> None:
        super().__init__(config)
        self.tower = open_tower("text", config, saved)
        check_context(config, self.tower)
        words = saved / "text" / "tokenizer.json" if saved else None
        self.words = read_tokenizer(words, self.tower.vocabulary) if words else load_tokenizer(config)
        if config.join != "beside":
            self.token.requires_grad_(False).weight.zero_()
        self.project = _project(self.tower.width, config.width)

    def kept(self, texts: Sequence[str]) -> Tensor:
        """What is kept of texts: their sentence vectors (N, H)."""
        ids = encode_texts(self.words, texts, self.config.context)
        return sentence_vectors(self.tower, pack_texts(ids, [0] * len(ids)).to(self.position.weight.device))

    def forward(self, texts: Texts, packing: Packing) -> Tensor:
        """Packed tokens (T, D)."""
        assert texts.kept_NH is not None  # whoever packs texts for this tower adds what is kept of them
        kept_ND = self.project(texts.kept_NH.to(self.position.weight.dtype))
        return self.layers(self.embedded(texts, packing) + texts.by_token(kept_ND), packing)


class SkipHead(nn.Module):
    """From what is kept of a frozen tower to the vectors, past our own layers: (B, H) -> (B, E)."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, dim))

    def forward(self, kept_BH: Tensor) -> Tensor:
        return self.layers(kept_BH.to(self.layers[1].weight.dtype))


def image_tower_key(tower: VisionBackbone, config: VisionConfig) -> str:
    """Names what the tower gives for images under these settings."""
    return _key(fingerprint(tower), config.image_size, config.grid)


def text_tower_key(tower: TextBackbone, words: Tokenizer, config: TextConfig) -> str:
    """Names what the tower, with its tokenizer, gives for texts under these settings."""
    return _key(fingerprint(tower, words), config.context)


def pooled_map(tower: VisionBackbone, pixels_BSS3: Tensor, grid: int) -> Tensor:
    """The tower's map of uint8 pixels, pooled to grid x grid tokens (B, G * G, H)."""
    mean, std = (pixels_BSS3.new_tensor(tower.statistics[n], dtype=torch.float32) for n in STATISTICS)
    x_B3SS = ((pixels_BSS3.float() / 255 - mean) / std).permute(0, 3, 1, 2).to(tower.dtype)
    with torch.no_grad():
        tokens_BLH, side = tower(x_B3SS), tower.side(x_B3SS.shape[-1])
        if side == grid:
            return tokens_BLH
        map_BHLL = tokens_BLH.transpose(1, 2).unflatten(2, (side, side))
        return F.adaptive_avg_pool2d(map_BHLL, grid).flatten(2).transpose(1, 2)


def sentence_vectors(tower: TextBackbone, texts: Texts) -> Tensor:
    """The tower's own pooling of the packed texts (N, H)."""
    packing = Packing.of(texts.lengths_N)
    ids_RL, place_RL = (F.pad(values_T, (0, 1))[packing.grid_RL] for values_T in (texts.ids_T, packing.place_T))
    with torch.no_grad():
        tokens_TH = packing.pack(tower(ids_RL, place_RL, packing.attention_mask_RLL))
        if tower.pooling == "mean":
            return tower.vectors(mean_pool(tokens_TH, texts.lengths_N))
        ends_N = torch.cumsum(texts.lengths_N, 0)
        return tower.vectors(tokens_TH[ends_N - (1 if tower.pooling == "lasttoken" else texts.lengths_N)])


def _key(*said: object) -> str:
    return sha256(json.dumps(said).encode()).hexdigest()


def _project(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(before), nn.Linear(before, after)).apply(initialise)
