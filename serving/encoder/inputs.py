"""Texts of a batch as the arrays that the padded encoder reads.

Shape legend: B Pins · N texts · L tokens of the longest text · T text tokens of the Pin with most of them
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Tokenizer

from model.data.catalogue import TEXT_TYPES
from model.data.cleaning import RawTexts, clean_query, clean_texts
from model.network.text import encode_texts

PinTexts = dict[str, str]  # clean, by signal name; a Pin without texts has an empty one


@dataclass(frozen=True)
class PaddedIds:
    """N is at least 1: without any texts there is one text of a single token, which no Pin reads."""

    ids_NL: np.ndarray  # int64
    lengths_N: np.ndarray  # int64
    types_N: np.ndarray  # int64, positions in TEXT_TYPES
    texts: Sequence[str]  # that were tokenized; one empty text where there was none

    @staticmethod
    def of(tokenizer: Tokenizer, texts: Sequence[str], types: Sequence[int], context: int) -> "PaddedIds":
        ids = encode_texts(tokenizer, texts, context) or [np.zeros(1, dtype=np.int32)]
        lengths_N = np.array([len(row) for row in ids], dtype=np.int64)
        ids_NL = np.zeros((len(ids), lengths_N.max()), dtype=np.int64)
        for row, tokens in zip(ids_NL, ids, strict=True):
            row[: len(tokens)] = tokens
        return PaddedIds(ids_NL, lengths_N, np.array(types or [0], dtype=np.int64), texts or [""])

    def slots(self, owner_N: Sequence[int], pins: int) -> np.ndarray:
        """int64 (B, T), T at least 1: where the tokens of each Pin's texts stand; -1 where it has no more."""
        length, places = self.ids_NL.shape[1], [[] for _ in range(pins)]  # type: tuple[int, list[list[np.ndarray]]]
        for number, pin in enumerate(owner_N):
            places[pin].append(number * length + np.arange(self.lengths_N[number]))
        joined = [np.concatenate(parts) if parts else np.zeros(0, np.int64) for parts in places]
        slots_BT = np.full((pins, max(1, *map(len, joined))), -1, dtype=np.int64)
        for row, slots in zip(slots_BT, joined, strict=True):
            row[: len(slots)] = slots
        return slots_BT


def pin_texts(tokenizer: Tokenizer, texts: Sequence[RawTexts], context: int) -> tuple[PaddedIds, np.ndarray]:
    """(the texts of all Pins, cleaned; their slots (B, T))."""
    shown = [(pin, name, text) for pin, named in enumerate(texts) for name, text in clean_texts(named).items()]
    types = [TEXT_TYPES.index(name) for _, name, _ in shown]
    ids = PaddedIds.of(tokenizer, [text for _, _, text in shown], types, context)
    return ids, ids.slots([pin for pin, _, _ in shown], len(texts))


def query_texts(tokenizer: Tokenizer, queries: Sequence[str], context: int) -> PaddedIds:
    return PaddedIds.of(
        tokenizer, [clean_query(query) for query in queries], [TEXT_TYPES.index("query")] * len(queries), context
    )
