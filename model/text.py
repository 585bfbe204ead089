"""Text tower and its tokenizer: byte-level BPE trained on the catalogue, then a small transformer over packed texts.

Shape legend: N texts · T tokens of all texts · D width
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn

from model.catalogue import TEXT_TYPES
from model.config import TextConfig
from model.layers import Block, Packing, initialise

END = "[END]"  # closes every text, so that no text is without a token


@dataclass(frozen=True)
class Texts:
    """N tokenized texts, packed: ids_T int64, lengths_N int64, types_N int64 (position in TEXT_TYPES)."""

    ids_T: Tensor
    lengths_N: Tensor
    types_N: Tensor

    def to(self, device: torch.device) -> "Texts":
        return Texts(self.ids_T.to(device), self.lengths_N.to(device), self.types_N.to(device))


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
    return tokenizer


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str], context: int) -> list[np.ndarray]:
    """Token ids (int32) of each text, cut to `context` with [END] last."""
    end = tokenizer.token_to_id(END)
    return [
        np.asarray([*encoding.ids[: context - 1], end], dtype=np.int32)
        for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    ]


def pack_texts(ids: Sequence[np.ndarray], types: Sequence[int]) -> Texts:
    lengths = torch.tensor([len(i) for i in ids], dtype=torch.int64)
    flat = np.concatenate(ids).astype(np.int64) if len(ids) else np.zeros(0, dtype=np.int64)
    return Texts(torch.from_numpy(flat), lengths, torch.tensor(types, dtype=torch.int64))


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

    def forward(self, texts: Texts, packing: Packing) -> Tensor:
        """Packed tokens (T, D)."""
        types_T = torch.repeat_interleave(texts.types_N, texts.lengths_N, output_size=texts.ids_T.numel())
        x_TD = self.token(texts.ids_T) + self.position(packing.place_T) + self.signal(types_T)
        for block in self.blocks:
            x_TD = block(x_TD, packing)
        return self.norm(x_TD)


def mean_pool(x_TD: Tensor, lengths_N: Tensor) -> Tensor:
    """Mean token of every packed text: (T, D) -> (N, D)."""
    owner_T = torch.repeat_interleave(torch.arange(lengths_N.numel(), device=x_TD.device), lengths_N)
    sums = torch.zeros(lengths_N.numel(), x_TD.shape[1], dtype=torch.float32, device=x_TD.device)
    return (sums.index_add(0, owner_T, x_TD.float()) / lengths_N.clamp(min=1)[:, None]).to(x_TD.dtype)
