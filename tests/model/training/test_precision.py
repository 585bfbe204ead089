"""bf16 work with fp32 memory: what computes, what remembers, and that both train alike."""

import pytest
import torch

from model.config import TrainConfig
from model.config.overrides import override
from model.training.loop import train_step
from model.training.objective import PinClip
from model.training.optimizer import optimizer_for
from model.training.precision import Working, training_dtype
from model.training.sampling import training_batches


@pytest.fixture(scope="module")
def batch(training_set, config):
    return next(training_batches(training_set, config, 0, 1, 0, 1))


def master_of(config) -> PinClip:
    torch.manual_seed(0)
    return PinClip(config)


def test_fp32_works_on_the_master_itself(config):
    master = master_of(config)
    assert Working(master, torch.float32).task is master


def test_bf16_works_on_a_copy_whose_encoder_alone_is_bf16(config):
    master = master_of(config)
    working = Working(master, torch.bfloat16)
    assert {p.dtype for p in master.parameters()} == {torch.float32}
    assert {p.dtype for p in working.task.encoder.parameters()} == {torch.bfloat16}
    assert working.task.neighbour_temperature.bias.dtype == torch.float32


def test_the_master_takes_the_gradients_and_gives_its_weights(config, batch):
    master = master_of(config)
    working = Working(master, torch.bfloat16)
    working.task(batch)["loss"].backward()
    given = {name: p.grad.clone() for name, p in working.task.named_parameters() if p.requires_grad}
    working.hand_over_gradients()
    for name, parameter in master.named_parameters():
        assert parameter.grad.dtype == torch.float32
        assert torch.equal(parameter.grad, given[name].float())
    assert all(p.grad is None for p in working.task.parameters())
    with torch.no_grad():
        for parameter in master.parameters():
            parameter.add_(1e-4)  # too little for a bf16 weight of 1 to notice: the master does
    working.take_weights()
    for one, two in zip(working.task.parameters(), master.parameters(), strict=True):
        assert torch.equal(one, two.to(one.dtype))


def test_gradients_in_bf16_are_nearly_those_in_fp32(config, batch):
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        master = master_of(config)
        working = Working(master, dtype)
        working.task(batch)["loss"].backward()
        working.hand_over_gradients()
        gradients.append(torch.cat([p.grad.flatten() for p in master.parameters()]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99


def test_small_steps_add_up_in_bf16(config, batch):
    """Forty steps that a bf16 weight would each round away lower the loss all the same."""
    config = override(config, {"train": {"learning_rate": 1e-4, "precision": "bf16"}})
    master = master_of(config)
    working, optimizer = Working(master, torch.bfloat16), optimizer_for(master, config.train)
    losses = [train_step(working.task, working, optimizer, batch)["loss"] for _ in range(40)]
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize(("asked", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_as_asked_for(asked, dtype):
    assert training_dtype(TrainConfig(precision=asked)) == dtype
    assert training_dtype(TrainConfig()) in (torch.float32, torch.bfloat16)
