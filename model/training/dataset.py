"""The training Pins in the form that a step needs: pixels on disk, token ids, neighbours and memberships in memory.

Texts are read, encoded and kept in flat arrays: a Python object for each of a million Pins' texts would take gigabytes.

Shape legend: N training Pins · B Pins of a batch · T neighbours kept for a Pin · n distinct texts
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from tokenizers import Tokenizer

from model.config import Config
from model.data.catalogue import TEXT_SIGNALS, Catalogue, joined_texts
from model.data.pixels import Pixels
from model.extraction.reading import NONE_KEPT, Extraction
from model.graph.neighbourhood import Edges, read_edges, read_pairs, read_texts, read_training
from model.network.text import encode_texts, tokenizer_for
from model.training.anchors import read_anchors

TEXTS_AT_ONCE = 2_048  # that are Python strings, and encodings of 6 KB each, at a time


@dataclass(frozen=True)
class EncodedTexts:
    """Distinct texts, numbered from 0."""

    tokens: np.ndarray  # int32, the token ids of all texts, one after the other
    first: np.ndarray  # (n + 1,) int64: where each text begins in `tokens`, and where the last one ends
    record: np.ndarray  # (n,) int64: number of the text's record where a text tower is kept, else -1

    def __len__(self) -> int:
        return len(self.record)

    def ids(self, number: int) -> np.ndarray:
        """Token ids of one text."""
        return self.tokens[self.first[number] : self.first[number + 1]]


@dataclass(frozen=True)
class Signal:
    """One text signal of all training Pins."""

    texts: EncodedTexts
    number: np.ndarray  # (N,) number of each Pin's text; Pins with the same words have the same, -1 without

    def present(self) -> np.ndarray:
        return self.number >= 0


@dataclass(frozen=True)
class TrainingSet:
    rows: np.ndarray  # (N,) row of each training Pin in the prepared catalogue
    pixels: Pixels
    signals: dict[str, Signal]
    words: EncodedTexts  # queries and board titles
    words_of_pin: sp.csr_matrix  # (N, words) bool: training edges between Pins and texts
    boards_of_pin: sp.csr_matrix  # (N, boards) bool: training edges between Pins and boards
    neighbours: np.ndarray  # (N, T) int32 training Pins, -1 padded
    weights: np.ndarray  # (N, T) float32 shares of visits, 0 where padded
    extraction: Extraction  # what is kept of frozen towers
    image_record: np.ndarray  # (N,) int64: number of the image's record, -1 where no image tower is kept
    anchors: np.ndarray | None  # (N, E) vectors of the version that the new ones stay comparable with, zeros without

    def __len__(self) -> int:
        return len(self.rows)

    def has_neighbours(self) -> bool:
        return bool((self.neighbours >= 0).any())


def load_training_set(
    prepared: Path,
    neighbours: Path,
    config: Config,
    extraction: Extraction = NONE_KEPT,
    anchors: Path | None = None,
) -> tuple[TrainingSet, Tokenizer]:
    """Reads what the steps before left, trains the tokenizer, if any, on training texts only, and encodes them.

    Raises:
        ModelError: `extraction` lacks a record of these Pins and texts.
        TrainingError: `anchors` are of another dimension or of other Pins.
    """
    catalogue = Catalogue(prepared / "catalogue")
    training = read_training(neighbours)
    rows = np.flatnonzero(training)
    total = catalogue.count("pins")
    place = np.full(total, -1, dtype=np.int64)  # row of the catalogue -> training Pin
    place[rows] = np.arange(len(rows))
    texts = {name: _signal_texts(catalogue, name, training) for name in TEXT_SIGNALS}
    texts = {name: values for name, values in texts.items() if values.null_count < len(values)}
    facts, words = read_texts(neighbours)
    taught = (words[number] for number in np.unique(facts.other[~facts.held_out]))
    tokenizer = tokenizer_for(chain(*map(_present, texts.values()), taught), config.text)
    training_set = TrainingSet(
        rows=rows,
        pixels=Pixels(prepared / "pixels.u8", config.vision.image_size, total),
        signals={name: _encode_signal(tokenizer, values, config, extraction) for name, values in texts.items()},
        words=_encode(tokenizer, pa.array(words, pa.large_string()), config, extraction),
        words_of_pin=_membership(facts, place, len(rows), len(words)),
        boards_of_pin=_membership(read_edges(neighbours), place, len(rows)),
        extraction=extraction,
        image_record=extraction.of_pins(prepared)[rows] if extraction.images else np.full(len(rows), -1),
        anchors=read_anchors(anchors, _pin_ids(catalogue, rows), config.fusion.dim) if anchors else None,
        **_padded_neighbours(neighbours, place, len(rows)),
    )
    return training_set, tokenizer


def _pin_ids(catalogue: Catalogue, rows: np.ndarray) -> pa.Array:
    return catalogue.read("pins", ["pin_id"])["pin_id"].combine_chunks().take(rows)


def _signal_texts(catalogue: Catalogue, name: str, training: np.ndarray) -> pa.ChunkedArray:
    """The training Pins' texts, null where a Pin has none."""
    chunks, row = [], 0
    for batch in catalogue.batches("pins", [name], rows=TEXTS_AT_ONCE):
        mine = batch.column(name).filter(pa.array(training[row : row + batch.num_rows]))
        chunks.append(pa.array([text or None for text in joined_texts(mine.to_pylist())], pa.large_string()))
        row += batch.num_rows
    return pa.chunked_array(chunks, pa.large_string())


def _present(texts: pa.ChunkedArray) -> Iterator[str]:
    for chunk in texts.chunks:
        yield from chunk.drop_null().to_pylist()


def _encode_signal(tokenizer: Tokenizer, texts: pa.ChunkedArray, config: Config, extraction: Extraction) -> Signal:
    coded = texts.combine_chunks().dictionary_encode()
    number = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Signal(_encode(tokenizer, coded.dictionary, config, extraction), number)


def _encode(tokenizer: Tokenizer, texts: pa.Array, config: Config, extraction: Extraction) -> EncodedTexts:
    tokens, lengths, records = [], [], []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        some = texts.slice(start, TEXTS_AT_ONCE).to_pylist()
        ids = encode_texts(tokenizer, some, config.text.context)
        tokens.append(np.concatenate(ids))
        lengths.append(np.array([len(one) for one in ids]))
        records.append(extraction.of_texts(some) if extraction.texts else np.full(len(some), -1))
    first = np.append(0, np.cumsum(_joined(lengths)))
    return EncodedTexts(_joined(tokens), first, _joined(records))


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _membership(edges: Edges, place: np.ndarray, pins: int, others: int | None = None) -> sp.csr_matrix:
    pin, other = place[edges.pin[~edges.held_out]], edges.other[~edges.held_out]
    width = others if others is not None else (int(edges.other.max()) + 1 if len(edges.other) else 0)
    matrix = sp.csr_matrix((np.ones(len(pin), dtype=np.float32), (pin, other)), shape=(pins, width))
    matrix.data[:] = 1  # a repeated edge counts once
    return matrix


def _padded_neighbours(neighbours: Path, place: np.ndarray, pins: int) -> dict[str, np.ndarray]:
    pairs = read_pairs(neighbours)
    pin, neighbour = place[pairs.pin], place[pairs.neighbour]
    counts = np.bincount(pin, minlength=pins)
    rank = np.arange(len(pin)) - np.repeat(np.cumsum(counts) - counts, counts)
    table = np.full((pins, max(int(counts.max(initial=0)), 1)), -1, dtype=np.int32)
    weights = np.zeros(table.shape, dtype=np.float32)
    table[pin, rank], weights[pin, rank] = neighbour, pairs.weight
    return {"neighbours": table, "weights": weights}
