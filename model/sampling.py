"""What a step sees: anchors with a drawn neighbour each, one long and one short text, one query, and who matches whom.

Every worker draws the same global batch from (seed, step) and keeps its own rows, so that the batches of a run do not
depend on the number of workers, and a resumed run sees what it would have seen.

Shape legend: b Pins of this worker · B Pins of the global batch · N texts of this worker
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.catalogue import LONG_SIGNALS, SHORT_SIGNALS, TEXT_TYPES
from model.config import Config
from model.dataset import TrainingSet
from model.text import Texts, pack_texts

ROLES = ("long", "short", "query")


@dataclass(frozen=True)
class Batch:
    """labels: int8 (b, B), rows of this worker against the columns of all: +1 match, -1 no match, 0 left out;
    labels_back: the same matches read the other way, columns of this worker against the rows of all.

    owner_N: the Pin of each text that its Pin may read, -1 for queries; slot[role] (b,): the text of each Pin in
    that role, -1 where it has none.
    """

    pixels_bSS3: Tensor
    texts: Texts
    owner_N: Tensor
    slot: dict[str, Tensor]
    labels: dict[str, Tensor]
    labels_back: dict[str, Tensor]
    has_image_b: Tensor  # False: this step hides the Pin's image from fusion
    has_text_b: Tensor  # False: this step hides the Pin's texts from fusion
    has_text_B: Tensor  # the same of the Pins of all workers


def steps_per_epoch(training_set: TrainingSet, config: Config) -> int:
    return max(len(training_set) // config.train.batch_size, 1)


def batches(
    training_set: TrainingSet, config: Config, first: int, last: int, rank: int, workers: int
) -> Iterator[Batch]:
    """The batches of steps [first, last), this worker's share of each."""
    for step in range(first, last):
        rng = np.random.default_rng([config.seed, step])
        pins = _draw_pins(training_set, config, step, rng)
        texts = {role: _draw_texts(training_set, role, pins, rng) for role in ROLES}
        hidden = rng.random(len(pins))
        mine = slice(rank * len(pins) // workers, (rank + 1) * len(pins) // workers)
        yield _assemble(training_set, config, pins, texts, hidden, mine)


def _draw_pins(training_set: TrainingSet, config: Config, step: int, rng: np.random.Generator) -> np.ndarray:
    """Training Pins of the global batch (B,). With neighbours: anchors first, their drawn neighbours behind them."""
    size = config.train.batch_size
    epoch, within = divmod(step, steps_per_epoch(training_set, config))
    order = np.random.default_rng([config.seed, 1 << 31, epoch]).permutation(len(training_set))
    if not config.objective.neighbour:
        return np.resize(order[within * size :], size)
    half = size // 2
    anchors = np.resize(order[within * half :], half)
    totals = training_set.weights[anchors, -1]
    drawn = (training_set.weights[anchors] < (rng.random(half) * totals)[:, None]).sum(1)
    partners = training_set.neighbours[anchors, np.minimum(drawn, training_set.weights.shape[1] - 1)]
    strangers = rng.integers(len(training_set), size=half)
    return np.concatenate([anchors, np.where((partners >= 0) & (totals > 0), partners, strangers)])


def _draw_texts(
    training_set: TrainingSet, role: str, pins: np.ndarray, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """(type, number within the type) of the text each Pin shows in this role; (-1, -1) where it has none."""
    if role == "query":
        return [_draw_word(training_set, pin, rng) for pin in pins]
    names = [n for n in (LONG_SIGNALS if role == "long" else SHORT_SIGNALS) if n in training_set.signals]
    drawn = []
    for pin in pins:
        available = [name for name in names if training_set.signals[name].number[pin] >= 0]
        name = available[rng.integers(len(available))] if available else None
        drawn.append((TEXT_TYPES.index(name), int(training_set.signals[name].number[pin])) if name else (-1, -1))
    return drawn


def _draw_word(training_set: TrainingSet, pin: int, rng: np.random.Generator) -> tuple[int, int]:
    matrix = training_set.words_of_pin
    words = matrix.indices[matrix.indptr[pin] : matrix.indptr[pin + 1]]
    return (TEXT_TYPES.index("query"), int(words[rng.integers(len(words))])) if len(words) else (-1, -1)


def _assemble(
    training_set: TrainingSet, config: Config, pins: np.ndarray, texts: dict[str, list[tuple[int, int]]],
    hidden: np.ndarray, mine: slice,
) -> Batch:  # fmt: skip
    ids: list[np.ndarray] = []
    types, owner, slot = [], [], {}
    for role in ROLES:
        slots = np.full(len(pins[mine]), -1)
        for i, (pin, (kind, number)) in enumerate(zip(pins[mine], texts[role][mine], strict=True)):
            if kind < 0:
                continue
            slots[i] = len(ids)
            name = TEXT_TYPES[kind]
            ids.append(training_set.words[number] if name == "query" else training_set.signals[name].ids[pin])
            types.append(kind)
            owner.append(-1 if name == "query" else i)
        slot[role] = torch.from_numpy(slots)
    labels = _labels(training_set, config, pins, texts)
    has_text = torch.from_numpy(hidden < 1 - config.train.hide_text)
    return Batch(
        pixels_bSS3=torch.from_numpy(training_set.pixels.read(training_set.rows[pins[mine]])),
        texts=pack_texts(ids, types),
        owner_N=torch.tensor(owner, dtype=torch.int64),
        slot=slot,
        labels={name: torch.from_numpy(matches[mine]) for name, matches in labels.items()},
        labels_back={name: torch.from_numpy(matches.T[mine]) for name, matches in labels.items()},
        has_image_b=torch.from_numpy(hidden[mine] >= config.train.hide_image),
        has_text_b=has_text[mine],
        has_text_B=has_text,
    )


def _labels(
    training_set: TrainingSet, config: Config, pins: np.ndarray, texts: dict[str, list[tuple[int, int]]]
) -> dict[str, np.ndarray]:
    """int8 (B, B) for each role's texts (column = the text shown by a Pin) and for neighbours (column = a Pin)."""
    labels = {role: _own_text_labels(pins, texts[role]) for role in ("long", "short")}
    labels["query"] = _query_labels(training_set, pins, np.array([number for _, number in texts["query"]]))
    labels["neighbour"] = _neighbour_labels(training_set, config, pins)
    return labels


def _own_text_labels(pins: np.ndarray, texts: list[tuple[int, int]]) -> np.ndarray:
    """A Pin matches its own text; the same words beside another Pin, or the Pin's other text, are no negatives."""
    key = np.array([kind * (1 << 40) + number for kind, number in texts])
    same = (key[:, None] == key[None, :]) | (pins[:, None] == pins[None, :])
    labels = np.where(same, 0, -1).astype(np.int8)
    np.fill_diagonal(labels, 1)
    labels[:, key < 0] = 0
    labels[key < 0, :] = 0
    return labels


def _query_labels(training_set: TrainingSet, pins: np.ndarray, words: np.ndarray) -> np.ndarray:
    """A query matches every Pin that it is known to lead to."""
    if not training_set.words:
        return np.zeros((len(pins), len(pins)), dtype=np.int8)
    known = training_set.words_of_pin[pins][:, np.maximum(words, 0)].toarray() > 0
    labels = np.where(known, 1, -1).astype(np.int8)
    labels[:, words < 0] = 0
    return labels


def _neighbour_labels(training_set: TrainingSet, config: Config, pins: np.ndarray) -> np.ndarray:
    """Anchor i and its neighbour i + B/2 match, both ways; with masking, Pins that share a board are no negatives."""
    size, half = len(pins), len(pins) // 2
    labels = np.full((size, size), -1, dtype=np.int8)
    if config.objective.mask_neighbours:
        boards = training_set.boards_of_pin[pins]
        labels[(boards @ boards.T).toarray() > 0] = 0
    labels[pins[:, None] == pins[None, :]] = 0
    anchors = np.arange(half)
    true = (training_set.neighbours[pins[:half]] == pins[half:, None]).any(1)  # a stranger drawn is no match
    labels[anchors[true], anchors[true] + half] = labels[anchors[true] + half, anchors[true]] = 1
    return labels
