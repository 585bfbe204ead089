"""The training Pins in the form that a step needs: pixels on disk, token ids, neighbours and memberships in memory.

Shape legend: N training Pins · B Pins of a batch · T neighbours kept for a Pin
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from tokenizers import Tokenizer

from model.config import Config
from model.data.catalogue import TEXT_SIGNALS, Catalogue, joined_texts
from model.data.pixels import Pixels
from model.extraction.reading import NONE_KEPT, Extraction
from model.graph.neighbourhood import Edges, read_edges, read_pairs, read_texts, read_training
from model.network.text import encode_texts, tokenizer_for
from model.training.anchors import read_anchors


@dataclass(frozen=True)
class Signal:
    """One text signal of all training Pins: token ids of each (empty where a Pin lacks it) and the text's number."""

    ids: list[np.ndarray]
    number: np.ndarray  # (N,) int64; Pins with the same words have the same number, -1 without
    record: np.ndarray  # (N,) int64: number of the text's record where a text tower is kept, else -1

    def present(self) -> np.ndarray:
        return self.number >= 0


@dataclass(frozen=True)
class TrainingSet:
    rows: np.ndarray  # (N,) row of each training Pin in the prepared catalogue
    pixels: Pixels
    signals: dict[str, Signal]
    words: list[np.ndarray]  # token ids of every distinct query or board title
    word_record: np.ndarray  # (words,) int64: as Signal.record
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
    rows = np.flatnonzero(read_training(neighbours))
    total = catalogue.count("pins")
    place = np.full(total, -1, dtype=np.int64)  # row of the catalogue -> training Pin
    place[rows] = np.arange(len(rows))
    pin_ids = catalogue.read("pins", ["pin_id"])["pin_id"].combine_chunks()
    texts = {name: _signal_texts(catalogue, name, rows) for name in TEXT_SIGNALS}
    texts = {name: values for name, values in texts.items() if any(values)}
    facts, words = read_texts(neighbours)
    taught = sorted(set(facts.other[~facts.held_out].tolist()))
    corpus = [text for values in texts.values() for text in values if text] + [words[i] for i in taught]
    tokenizer = tokenizer_for(corpus, config.text)
    training_set = TrainingSet(
        rows=rows,
        pixels=Pixels(prepared / "pixels.u8", config.vision.image_size, total),
        signals={name: _encode_signal(tokenizer, values, config, extraction) for name, values in texts.items()},
        words=encode_texts(tokenizer, words, config.text.context),
        word_record=_text_records(extraction, words),
        words_of_pin=_membership(facts, place, len(rows), len(words)),
        boards_of_pin=_membership(read_edges(neighbours), place, len(rows)),
        extraction=extraction,
        image_record=extraction.of_pins(prepared)[rows] if extraction.images else np.full(len(rows), -1),
        anchors=read_anchors(anchors, pin_ids.take(rows), config.fusion.dim) if anchors else None,
        **_padded_neighbours(neighbours, place, len(rows)),
    )
    return training_set, tokenizer


def _signal_texts(catalogue: Catalogue, name: str, rows: np.ndarray) -> list[str]:
    texts = joined_texts(catalogue.read("pins", [name])[name].to_pylist())
    return [texts[row] for row in rows]


def _encode_signal(tokenizer: Tokenizer, texts: list[str], config: Config, extraction: Extraction) -> Signal:
    distinct = sorted({text for text in texts if text})
    number = {text: i for i, text in enumerate(distinct)}
    encoded = encode_texts(tokenizer, distinct, config.text.context)
    nothing = np.zeros(0, dtype=np.int32)
    numbers = np.array([number.get(text, -1) for text in texts], dtype=np.int64)
    record = np.append(_text_records(extraction, distinct), -1)[numbers]
    return Signal([encoded[n] if n >= 0 else nothing for n in numbers], numbers, record)


def _text_records(extraction: Extraction, texts: list[str]) -> np.ndarray:
    return extraction.of_texts(texts) if extraction.texts else np.full(len(texts), -1)


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
