"""What a step sees: Pins, each beside a neighbour, one long and one short text, one query, and who matches whom.

Every worker draws the same global batch from (seed, step) and keeps its own rows, so that the batches of a run do not
depend on the number of workers, and a resumed run sees what it would have seen.

Shape legend: b Pins of this worker · B Pins of the global batch · N texts of this worker
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from model.config import Config
from model.data.catalogue import LONG_SIGNALS, SHORT_SIGNALS, TEXT_TYPES
from model.network.text import Texts, pack_texts
from model.training.dataset import TrainingSet
from model.training.matching import near_together, pair_up

ROLES = ("long", "short", "query")


@dataclass(frozen=True)
class Batch:
    """labels: int8 (b, B), rows of this worker against the columns of all: +1 match, -1 no match, 0 left out;
    labels_back: the same matches read the other way, columns of this worker against the rows of all.

    owner_N: the Pin of each text that its Pin may read, -1 for queries; slot[role] (b,): the text of each Pin in
    that role, -1 where it has none.
    """

    pixels_bSS3: Tensor
    kept_bLH: Tensor | None  # what is kept of the images, where an image tower is frozen (model/network/joined.py)
    texts: Texts
    owner_N: Tensor
    slot: dict[str, Tensor]
    labels: dict[str, Tensor]
    labels_back: dict[str, Tensor]
    shown: frozenset[str]  # the roles that any Pin of the global batch has a text in
    has_image_b: Tensor  # False: this step hides the Pin's image from fusion
    has_text_b: Tensor  # False: this step hides the Pin's texts from fusion
    has_text_B: Tensor  # the same of the Pins of all workers
    anchor_bE: Tensor | None  # the Pins' vectors of a former version, zeros without (model/training/anchors.py)


def steps_per_epoch(training_set: TrainingSet, config: Config) -> int:
    return len(training_set) // config.train.batch_size


def training_batches(
    training_set: TrainingSet, config: Config, first: int, last: int, rank: int, workers: int
) -> Iterator[Batch]:
    """The batches of steps [first, last), this worker's share of each."""
    per_epoch = steps_per_epoch(training_set, config)
    for epoch, steps in groupby(range(first, last), key=lambda step: step // per_epoch):
        order = _epoch_order(training_set, config, epoch)
        for step in steps:
            rng = np.random.default_rng([config.seed, step])
            pins = order[step % per_epoch]
            texts = {role: _draw_texts(training_set, role, pins, rng) for role in ROLES}
            hidden = rng.random(len(pins))
            mine = slice(rank * len(pins) // workers, (rank + 1) * len(pins) // workers)
            yield _assemble(training_set, config, pins, texts, hidden, mine)


def _epoch_order(training_set: TrainingSet, config: Config, epoch: int) -> np.ndarray:
    """Training Pins of every step of the epoch (steps, B), none twice. With neighbours: Pin i stands beside i + B/2."""
    rng = np.random.default_rng([config.seed, 1 << 31, epoch])
    steps, size = steps_per_epoch(training_set, config), config.train.batch_size
    if not config.objective.neighbour:
        return rng.permutation(len(training_set))[: steps * size].reshape(steps, size)
    pairs = pair_up(training_set.neighbours, training_set.weights, rng)
    if config.train.near_pairs > 1:
        pairs = near_together(pairs, training_set.neighbours, config.train.near_pairs, rng)
    pairs = pairs[: steps * size // 2]
    return np.ascontiguousarray(pairs.reshape(steps, size // 2, 2).transpose(0, 2, 1)).reshape(steps, size)


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
    types, owner, records, slot = [], [], [], {}
    for role in ROLES:
        slots = np.full(len(pins[mine]), -1)
        for i, (kind, number) in enumerate(texts[role][mine]):
            if kind < 0:
                continue
            slots[i] = len(ids)
            name = TEXT_TYPES[kind]
            known = training_set.words if name == "query" else training_set.signals[name].texts
            ids.append(known.ids(number))
            records.append(known.record[number])
            types.append(kind)
            owner.append(-1 if name == "query" else i)
        slot[role] = torch.from_numpy(slots)
    labels = _labels(training_set, config, pins, texts)
    has_text = torch.from_numpy(hidden < 1 - config.train.hide_text)
    images, words = training_set.extraction.images, training_set.extraction.texts
    return Batch(
        pixels_bSS3=torch.from_numpy(training_set.pixels.read(training_set.rows[pins[mine]])),
        kept_bLH=images.read(training_set.image_record[pins[mine]]) if images else None,
        texts=pack_texts(ids, types, words.read(records) if words else None),
        owner_N=torch.tensor(owner, dtype=torch.int64),
        slot=slot,
        labels={name: torch.from_numpy(matches[mine]) for name, matches in labels.items()},
        labels_back={name: torch.from_numpy(matches.T[mine]) for name, matches in labels.items()},
        shown=frozenset(role for role in ROLES if any(kind >= 0 for kind, _ in texts[role])),
        has_image_b=torch.from_numpy(hidden[mine] >= config.train.hide_image),
        has_text_b=has_text[mine],
        has_text_B=has_text,
        anchor_bE=_anchors(training_set, pins[mine]),
    )


def _anchors(training_set: TrainingSet, pins: np.ndarray) -> Tensor | None:
    anchors = training_set.anchors
    return None if anchors is None else torch.from_numpy(anchors[pins].astype(np.float32))


def _labels(
    training_set: TrainingSet, config: Config, pins: np.ndarray, texts: dict[str, list[tuple[int, int]]]
) -> dict[str, np.ndarray]:
    """int8 (B, B) for each role's texts (column = the text shown by a Pin) and for neighbours (column = a Pin); with
    anchors for these too (row = an anchor for texts, column = an anchor for Pins)."""
    labels = {role: _own_text_labels(pins, texts[role]) for role in ("long", "short")}
    labels["query"] = _query_labels(training_set, pins, np.array([number for _, number in texts["query"]]))
    labels["neighbour"] = _neighbour_labels(training_set, config, pins)
    if training_set.anchors is not None:
        labels |= _anchor_labels(labels, training_set.anchors[pins].any(1))
    return labels


def _anchor_labels(labels: dict[str, np.ndarray], anchored: np.ndarray) -> dict[str, np.ndarray]:
    """A Pin's anchor matches the texts that match the Pin, the Pin itself and its neighbour; Pins without one are left
    out."""
    texts = {f"anchor_{role}": labels[role] * anchored[:, None] for role in ROLES}
    pins = labels["neighbour"].copy()
    np.fill_diagonal(pins, 1)
    return texts | {"anchor": pins * anchored}


def _own_text_labels(pins: np.ndarray, texts: list[tuple[int, int]]) -> np.ndarray:
    """A Pin matches its own text, and the same words where another Pin shows them."""
    key = np.array([kind * (1 << 40) + number for kind, number in texts])
    labels = np.where(key[:, None] == key[None, :], 1, -1).astype(np.int8)
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
    """Pin i and the neighbour beside it match, both ways; with masking, no other true neighbour is a negative: neither
    Pins that share a board nor those that a walk from one of the two has found."""
    size, half = len(pins), len(pins) // 2
    labels = np.full((size, size), -1, dtype=np.int8)
    if config.objective.mask_neighbours:
        boards = training_set.boards_of_pin[pins]
        labels[(boards @ boards.T).toarray() > 0] = 0
        finder, found = _walked_pairs(training_set.neighbours[pins], pins)
        labels[finder, found] = labels[found, finder] = 0
    np.fill_diagonal(labels, 0)
    pairs = np.arange(half)
    true = (training_set.neighbours[pins[:half]] == pins[half:, None]).any(1)  # a random partner is no match
    labels[pairs[true], pairs[true] + half] = labels[pairs[true] + half, pairs[true]] = 1
    return labels


def _walked_pairs(neighbours_BT: np.ndarray, pins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (i, j) in the batch where Pin j is a neighbour of Pin i."""
    order = np.argsort(pins)
    place = np.minimum(np.searchsorted(pins, neighbours_BT, sorter=order), len(pins) - 1)
    i, t = np.nonzero(pins[order[place]] == neighbours_BT)
    return i, order[place[i, t]]
