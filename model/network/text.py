"""Text towers and their tokenizers: packed texts -> tokens.

TextTower            from scratch: byte-level BPE trained on the catalogue, then a small transformer
PretrainedTextTower  a pretrained tower with the tokenizer that it was trained with

Shape legend: N texts · T tokens of all texts · R rows · L row length · H the pretrained tower's width · D width
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor, nn

from model.config import TextConfig
from model.data.catalogue import TEXT_TYPES
from model.network.layers import Block, Packing, initialise
from model.network.towers.fitting import check_context
from model.network.towers.opening import open_tower
from model.network.towers.words import load_tokenizer

END = "[END]"  # closes every text, so that no text is without a token


@dataclass(frozen=True)
class Texts:
    """N tokenized texts, packed: ids_T int64, lengths_N int64, types_N int64 (position in TEXT_TYPES).

    kept_NH: what is kept of a frozen tower (model/network/joined.py), where the network has one.
    """

    ids_T: Tensor
    lengths_N: Tensor
    types_N: Tensor
    kept_NH: Tensor | None = None

    def to(self, device: torch.device) -> "Texts":
        kept_NH = None if self.kept_NH is None else self.kept_NH.to(device)
        return Texts(self.ids_T.to(device), self.lengths_N.to(device), self.types_N.to(device), kept_NH)

    def by_token(self, values_N: Tensor) -> Tensor:
        """The value of its text for every token: (N, ...) -> (T, ...)."""
        return torch.repeat_interleave(values_N, self.lengths_N, dim=0, output_size=self.ids_T.numel())


def tokenizer_for(texts: Iterable[str], config: TextConfig) -> Tokenizer:
    """The pretrained tower's own tokenizer, or one trained on `texts` for a tower of our own."""
    return load_tokenizer(config) if config.pretrained and not config.kept else train_tokenizer(texts, config)


def train_tokenizer(texts: Iterable[str], config: TextConfig) -> Tokenizer:
    """Byte-level BPE: any text of any language can be written in it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return tokenizer


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str], context: int) -> list[np.ndarray]:
    """Token ids (int32) of each text, cut to `context`, with the tokenizer's own first and last tokens."""
    tokenizer.enable_truncation(context)
    return [np.asarray(encoding.ids, dtype=np.int32) for encoding in tokenizer.encode_batch_fast(list(texts))]


def pack_texts(ids: Sequence[np.ndarray], types: Sequence[int], kept_NH: Tensor | None = None) -> Texts:
    lengths = torch.tensor([len(i) for i in ids], dtype=torch.int64)
    flat = np.concatenate(ids).astype(np.int64) if len(ids) else np.zeros(0, dtype=np.int64)
    return Texts(torch.from_numpy(flat), lengths, torch.tensor(types, dtype=torch.int64), kept_NH)


class TextTower(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocabulary, config.width)
        self.position = nn.Embedding(config.context, config.width)
        self.signal = nn.Embedding(len(TEXT_TYPES), config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.apply(initialise)

    @property
    def vocabulary(self) -> int:
        """Tokens that its weights know."""
        return self.token.num_embeddings

    def forward(self, texts: Texts, packing: Packing) -> Tensor:
        """Packed tokens (T, D)."""
        return self.layers(self.embedded(texts, packing), packing)

    def embedded(self, texts: Texts, packing: Packing) -> Tensor:
        return self.token(texts.ids_T) + self.position(packing.place_T) + self.signal(texts.by_token(texts.types_N))

    def layers(self, x_TD: Tensor, packing: Packing) -> Tensor:
        for block in self.blocks:
            x_TD = block(x_TD, packing)
        return self.norm(x_TD)


class PretrainedTextTower(nn.Module):
    """A tower of model/network/towers; the signal's type is added above it.

    SigLIP was trained with every text padded to its context and attention on the padding. Here texts are packed,
    several to a row and masked from each other, so that a text's vector depends on nothing else and pads cost nothing.

    Raises:
        ModelError: the checkpoint cannot be used (model/network/towers), or text.context is beyond its
            positions.
    """

    def __init__(self, config: TextConfig, saved: Path | None = None) -> None:
        super().__init__()
        self.config = config
        self.tower = open_tower("text", config, saved)
        check_context(config, self.tower)
        width = self.tower.width
        self.project = nn.Identity() if width == config.width else nn.Linear(width, config.width)
        self.project.apply(initialise)
        self.signal = nn.Embedding(len(TEXT_TYPES), config.width)
        nn.init.zeros_(self.signal.weight)

    @property
    def vocabulary(self) -> int:
        """Tokens that its weights know."""
        return self.tower.vocabulary

    def forward(self, texts: Texts, packing: Packing) -> Tensor:
        """Packed tokens (T, D)."""
        ids_RL, place_RL = (F.pad(values_T, (0, 1))[packing.grid_RL] for values_T in (texts.ids_T, packing.place_T))
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.trainable != "frozen"):
            x_RLH = self.tower(ids_RL, place_RL, packing.attention_mask_RLL)
        return self.project(packing.pack(x_RLH)) + self.signal(texts.by_token(texts.types_N))


def mean_pool(x_TD: Tensor, lengths_N: Tensor) -> Tensor:
    """Mean token of every packed text: (T, D) -> (N, D)."""
    owner_T = torch.repeat_interleave(torch.arange(lengths_N.numel(), device=x_TD.device), lengths_N)
    sums = torch.zeros(lengths_N.numel(), x_TD.shape[1], dtype=torch.float32, device=x_TD.device)
    return (sums.index_add(0, owner_T, x_TD.float()) / lengths_N.clamp(min=1)[:, None]).to(x_TD.dtype)
