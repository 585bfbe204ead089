"""Batches: the same for any number of workers and after a resume, without fresh Pins, labels as sets have them."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
import torch

from model.config.overrides import override
from model.data.catalogue import LONG_SIGNALS, SHORT_SIGNALS, TEXT_TYPES
from model.data.pixels import Pixels
from model.graph.neighbourhood import read_fresh
from model.training.sampling import ROLES, Batch, steps_per_epoch, training_batches


@pytest.fixture(scope="module")
def pin_of(training_set):
    """Training Pin by the bytes of its picture; no two are alike."""
    known = {pixels.tobytes(): pin for pin, pixels in enumerate(training_set.pixels.read(training_set.rows))}
    assert len(known) == len(training_set)
    return known


def pins_of(batch: Batch, pin_of) -> list[int]:
    return [pin_of[pixels.numpy().tobytes()] for pixels in batch.pixels_bSS3]


def shown(batch: Batch, role: str) -> list[tuple | None]:
    """(type, token ids) of the text that each Pin shows in the role."""
    parts = torch.split(batch.texts.ids_T, batch.texts.lengths_N.tolist())
    return [
        None if slot < 0 else (TEXT_TYPES[batch.texts.types_N[slot]], tuple(parts[slot].tolist()))
        for slot in batch.slot[role].tolist()
    ]


def first_batches(training_set, config, steps=5) -> list[Batch]:
    return list(training_batches(training_set, config, 0, steps, 0, 1))


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_share_the_batch_of_one(training_set, config, workers):
    for step in (0, 7):
        whole = next(training_batches(training_set, config, step, step + 1, 0, 1))
        parts = [next(training_batches(training_set, config, step, step + 1, rank, workers)) for rank in range(workers)]
        for field in ("pixels_bSS3", "has_image_b", "has_text_b"):
            assert torch.equal(torch.cat([getattr(part, field) for part in parts]), getattr(whole, field))
        for name, labels in whole.labels.items():
            assert torch.equal(torch.cat([part.labels[name] for part in parts]), labels)
            assert torch.equal(torch.cat([part.labels_back[name] for part in parts]), labels.T)
        for role in ROLES:
            assert [text for part in parts for text in shown(part, role)] == shown(whole, role)


def test_a_resumed_run_sees_what_it_would_have_seen(training_set, config):
    whole = first_batches(training_set, config, 12)
    rest = list(training_batches(training_set, config, 9, 12, 0, 1))
    for resumed, before in zip(rest, whole[9:], strict=True):
        assert torch.equal(resumed.pixels_bSS3, before.pixels_bSS3)
        assert torch.equal(resumed.texts.ids_T, before.texts.ids_T)
        assert all(torch.equal(resumed.labels[name], labels) for name, labels in before.labels.items())
        assert torch.equal(resumed.has_text_b, before.has_text_b)


def test_the_seed_decides(training_set, config):
    one, again = (first_batches(training_set, config, 1)[0] for _ in range(2))
    other = first_batches(training_set, override(config, {"seed": 1}), 1)[0]
    assert torch.equal(one.pixels_bSS3, again.pixels_bSS3)
    assert not torch.equal(one.pixels_bSS3, other.pixels_bSS3)


def test_no_fresh_pin_is_in_any_batch(walked, training_set, config):
    fresh = read_fresh(walked[1])
    pixels = Pixels(walked[0] / "pixels.u8", config.vision.image_size, len(fresh))
    forbidden = {record.tobytes() for record in pixels.read(np.flatnonzero(fresh))}
    for batch in first_batches(training_set, config, 3 * steps_per_epoch(training_set, config)):
        assert not forbidden & {record.numpy().tobytes() for record in batch.pixels_bSS3}


def test_without_neighbours_an_epoch_shows_every_pin_once(training_set, config, pin_of):
    config = override(config, {"objective": {"neighbour": 0}, "train": {"batch_size": 26}})
    steps = steps_per_epoch(training_set, config)
    assert steps == len(training_set) // 26
    for epoch in range(2):
        seen = Counter(
            pin
            for batch in training_batches(training_set, config, epoch * steps, (epoch + 1) * steps, 0, 1)
            for pin in pins_of(batch, pin_of)
        )
        assert set(seen.values()) == {1}
        assert len(training_set) - len(seen) < 26


def test_with_neighbours_too_each_once_and_beside_one_of_its_own_if_any_is_free(training_set, config, pin_of):
    steps, half = steps_per_epoch(training_set, config), config.train.batch_size // 2
    turns, beside = Counter(), 0
    for batch in first_batches(training_set, config, steps):
        pins = pins_of(batch, pin_of)
        turns.update(pins)
        beside += sum(b in training_set.neighbours[a] for a, b in zip(pins[:half], pins[half:], strict=True))
    assert set(turns.values()) == {1}
    assert len(turns) == 2 * steps * half
    assert beside > 0.4 * steps * half  # half of these Pins have no neighbour at all


@pytest.mark.parametrize("masked", [True, False])
def test_neighbour_labels_are_those_of_sets(training_set, config, pin_of, masked):
    config = override(config, {"objective": {"mask_neighbours": masked}})
    half = config.train.batch_size // 2
    boards = [set(row.indices) for row in training_set.boards_of_pin]
    counts = Counter()
    for batch in first_batches(training_set, config):
        pins = pins_of(batch, pin_of)
        for i, a in enumerate(pins):
            for j, b in enumerate(pins):
                first, second = (pins[min(i, j)], pins[max(i, j)])
                walked = a in training_set.neighbours[b] or b in training_set.neighbours[a]
                if abs(i - j) == half and second in training_set.neighbours[first]:
                    expected = 1
                else:
                    expected = 0 if a == b or (masked and (walked or boards[a] & boards[b])) else -1
                assert batch.labels["neighbour"][i, j] == expected
                counts[expected] += 1
    assert counts[1] > 50
    assert counts[-1] > 1000


def test_text_labels_are_those_of_sets(training_set, config, pin_of):
    words_of = [set(row.indices) for row in training_set.words_of_pin]
    counts = Counter()
    for batch in first_batches(training_set, config):
        pins = pins_of(batch, pin_of)
        for role in ("long", "short"):
            texts = shown(batch, role)
            own = [
                None if text is None else (text[0], training_set.signals[text[0]].number[pin])
                for pin, text in zip(pins, texts, strict=True)
            ]
            for i, j in np.ndindex(len(pins), len(pins)):
                shown_by_both = own[i] is not None and own[j] is not None
                expected = 0 if not shown_by_both else 1 if own[i] == own[j] else -1
                assert batch.labels[role][i, j] == expected
                counts[role, expected] += 1
        words = [None if text is None else word_number(training_set, text[1]) for text in shown(batch, "query")]
        for i, j in np.ndindex(len(pins), len(pins)):
            expected = 0 if words[j] is None else 1 if words[j] in words_of[pins[i]] else -1
            assert batch.labels["query"][i, j] == expected
            counts["query", expected] += 1
    assert all(counts[role, label] for role in ROLES for label in (-1, 0, 1))


def word_number(training_set, ids) -> int:
    """The word with these tokens; no two words of the generated catalogue have the same."""
    words = training_set.words
    numbers = [number for number in range(len(words)) if tuple(words.ids(number).tolist()) == ids]
    assert len(numbers) == 1
    return numbers[0]


def test_each_role_shows_a_text_of_its_kind_that_the_pin_has(training_set, config, pin_of):
    kinds = {"long": LONG_SIGNALS, "short": SHORT_SIGNALS}
    seen = set()
    for batch in first_batches(training_set, config):
        pins = pins_of(batch, pin_of)
        for role, signals in kinds.items():
            for pin, text in zip(pins, shown(batch, role), strict=True):
                available = {n for n in signals if training_set.signals[n].number[pin] >= 0}
                assert (text is None) == (not available)
                if text is not None:
                    assert text[0] in available
                    signal = training_set.signals[text[0]]
                    assert text[1] == tuple(signal.texts.ids(signal.number[pin]).tolist())
                    seen.add(text[0])
        for pin, text in zip(pins, shown(batch, "query"), strict=True):
            assert (text is None) == (training_set.words_of_pin[pin].nnz == 0)
    assert seen == set(LONG_SIGNALS + SHORT_SIGNALS)


def test_only_a_pins_own_texts_have_an_owner(training_set, config):
    batch = first_batches(training_set, config, 1)[0]
    for role in ROLES:
        for pin, slot in enumerate(batch.slot[role].tolist()):
            if slot >= 0:
                assert batch.owner_N[slot] == (-1 if role == "query" else pin)
    assert len(batch.owner_N) == sum(int((slots >= 0).sum()) for slots in batch.slot.values())


def test_fusion_is_never_shown_nothing(training_set, config):
    many = first_batches(training_set, config, 60)
    image, text = (torch.cat([getattr(batch, name) for batch in many]) for name in ("has_image_b", "has_text_b"))
    assert (image | text).all()
    assert (~image).float().mean().item() == pytest.approx(config.train.hide_image, abs=0.03)
    assert (~text).float().mean().item() == pytest.approx(config.train.hide_text, abs=0.03)


def test_pins_without_neighbours_or_texts_meet_strangers(training_set, config):
    lonely = dataclasses.replace(
        training_set,
        neighbours=np.full_like(training_set.neighbours, -1),
        weights=np.zeros_like(training_set.weights),
        signals={},
    )
    batch = first_batches(lonely, config, 1)[0]
    assert (batch.labels["neighbour"] != 1).all()
    assert (batch.labels["long"] == 0).all()
    assert (batch.slot["short"] == -1).all()
    assert (batch.owner_N == -1).all()


def test_an_anchor_matches_what_its_pin_matches_and_the_pin_itself(training_set, config, pin_of):
    anchors = np.zeros((len(training_set), 4), np.float16)
    anchors[::2] = np.arange(1, len(anchors[::2]) + 1)[:, None]  # row 2 i has i + 1
    batch = next(training_batches(dataclasses.replace(training_set, anchors=anchors), config, 0, 1, 0, 1))
    rows = pins_of(batch, pin_of)
    assert batch.anchor_bE[:, 0].tolist() == [row / 2 + 1 if row % 2 == 0 else 0 for row in rows]
    for i, own in enumerate(rows):
        for j, other in enumerate(rows):
            expected = 1 if i == j else int(batch.labels["neighbour"][i, j])
            assert batch.labels["anchor"][i, j] == (expected if other % 2 == 0 else 0)
            for role in ROLES:
                assert batch.labels[f"anchor_{role}"][i, j] == (batch.labels[role][i, j] if own % 2 == 0 else 0)
