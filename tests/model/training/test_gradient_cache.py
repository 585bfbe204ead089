"""Gradient caching: in parts of any size, loss and gradients of the plain step. Workers: test_distributed.py."""

import dataclasses

import pytest
import scipy.sparse as sp
import torch

from model.config import clip_baseline
from model.config.overrides import override
from model.training.gradient_cache import cached_backward, micro_batches
from model.training.loop import fit
from model.training.objective import PinClip
from model.training.precision import Working
from model.training.sampling import ROLES, training_batches


def task_of(config) -> PinClip:
    torch.manual_seed(0)
    return PinClip(config)


def plain(config, batch):
    task = task_of(config)
    losses = task(batch)
    losses["loss"].backward()
    return losses, {name: p.grad for name, p in task.named_parameters() if p.requires_grad}


def cached(config, batch, size, dtype=torch.float32):
    task = task_of(config)
    losses = cached_backward(Working(task, dtype), batch, size)
    return losses, {name: p.grad for name, p in task.named_parameters() if p.requires_grad}


def check_equal(found, expected, tolerance=1e-5) -> None:
    (losses, gradients), (wanted, wanted_gradients) = found, expected
    assert losses.keys() == wanted.keys()
    assert all(losses[name].item() == pytest.approx(wanted[name].item(), rel=tolerance) for name in losses)
    for name, gradient in wanted_gradients.items():
        assert (gradients[name] - gradient).abs().max() <= tolerance * max(gradient.abs().max(), 1.0), name


@pytest.mark.parametrize("size", [1, 5, 16, 31, 32, 100])  # of 32 Pins
def test_loss_and_gradients_are_those_of_the_plain_step(training_set, config, size):
    batch = next(training_batches(training_set, config, 0, 1, 0, 1))
    check_equal(cached(config, batch, size), plain(config, batch))


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": {"neighbour": 0}},
        {"objective": {"text_fused": 0, "image_texts": ["query"]}},
        {"fusion": {"token_level": False}},
        {"train": {"hide_image": 0.4, "hide_text": 0.4}},
    ],
)
def test_whatever_the_objective(training_set, config, changes):
    config = override(config, changes)
    batch = next(training_batches(training_set, config, 2, 3, 0, 1))
    check_equal(cached(config, batch, 7), plain(config, batch))


def test_the_clip_baseline(training_set, config):
    config = clip_baseline(config)
    batch = next(training_batches(training_set, config, 2, 3, 0, 1))
    check_equal(cached(config, batch, 7), plain(config, batch))


def test_without_any_text(training_set, config):
    nothing = sp.csr_matrix((len(training_set), 0), dtype="float32")
    silent = dataclasses.replace(training_set, signals={}, words=[], words_of_pin=nothing)
    batch = next(training_batches(silent, config, 0, 1, 0, 1))
    check_equal(cached(config, batch, 7), plain(config, batch))


def test_bf16_adds_its_gradients_in_fp32(training_set, config):
    """Thirty-two parts of one Pin are as near to the fp32 gradient as one part of thirty-two."""
    batch = next(training_batches(training_set, config, 0, 1, 0, 1))
    truth = torch.cat([gradient.flatten() for gradient in plain(config, batch)[1].values()])
    near = []
    for size in (1, 32):
        gradients = cached(config, batch, size, torch.bfloat16)[1].values()
        assert {gradient.dtype for gradient in gradients} == {torch.float32}
        near.append((torch.cat([gradient.flatten() for gradient in gradients]) - truth).norm())
    assert near[0] < 1.2 * near[1]


def test_a_part_holds_its_pins_and_their_texts(training_set, config):
    batch = next(training_batches(training_set, config, 0, 1, 0, 1))
    parts = list(micro_batches(batch, 5))
    assert [len(part.pixels_bSS3) for part in parts] == [5] * 6 + [2]
    whole = torch.split(batch.texts.ids_T, batch.texts.lengths_N.tolist())
    for start, part in zip(range(0, 32, 5), parts, strict=True):
        texts = torch.split(part.texts.ids_T, part.texts.lengths_N.tolist())
        for pin in range(len(part.pixels_bSS3)):
            for role in ROLES:
                mine, theirs = part.slot[role][pin], batch.slot[role][start + pin]
                assert (mine < 0) == (theirs < 0)
                if mine >= 0:
                    assert torch.equal(texts[mine], whole[theirs])
                    assert part.texts.types_N[mine] == batch.texts.types_N[theirs]
                    assert part.owner_N[mine] == (-1 if role == "query" else pin)
    assert sum(len(part.texts.lengths_N) for part in parts) == len(whole)


def test_training_in_parts_is_the_same_training(tmp_path, walked, config):
    config = override(config, {"train": {"epochs": 1}})
    whole = fit(*walked, tmp_path / "whole", config, lambda point: None)
    parts = fit(*walked, tmp_path / "parts", override(config, {"train": {"micro_batch": 6}}), lambda point: None)
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-4)
    assert parts["gradient_norm"] == pytest.approx(whole["gradient_norm"], rel=1e-3)


def test_less_is_held_at_once(training_set, config):
    """What the graph keeps for the backward pass: in parts of four, not much more than an eighth."""
    batch = next(training_batches(training_set, config, 0, 1, 0, 1))

    def held(step) -> int:
        kept, most = [0], [0]

        def pack(tensor):
            kept[0] += tensor.numel()
            most[0] = max(most[0], kept[0])
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            step(lambda: kept.__setitem__(0, 0))
        return most[0]

    task = task_of(config)
    whole = held(lambda _: task(batch)["loss"].backward())
    working = Working(task, torch.float32)
    forget = working.hand_over_gradients

    def parts(start_over):
        working.hand_over_gradients = lambda: (forget(), start_over())
        cached_backward(working, batch, 4)

    assert held(parts) < whole / 4
