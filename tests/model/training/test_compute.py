"""Compiled blocks and forgotten activations change neither loss nor gradients."""

import shutil
from functools import partial

import pytest
import torch

from model.config import TrainConfig
from model.config.overrides import override
from model.errors import TrainingError
from model.network.layers import Block, FunnelBlock
from model.training.compute import prepare_blocks, transformer_blocks
from model.training.loop import fit
from model.training.objective import PinClip
from model.training.sampling import training_batches

COMPILER = shutil.which("g++") or shutil.which("clang++")
OPTIONS = [
    {"compile": True},
    {"activation_checkpointing": True},
    {"compile": True, "activation_checkpointing": True},
]


@pytest.fixture
def traced(monkeypatch):
    """torch.compile with its tracing and its automatic differentiation, but without minutes of C++ compiling."""
    counted = []

    def backend(graph, inputs):
        counted.append(graph)
        return make_boxed_func(graph.forward)

    from functorch.compile import make_boxed_func
    from torch._dynamo.backends.common import aot_autograd

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=aot_autograd(fw_compiler=backend)))
    return counted


def step(task, training_set, config, number):
    """Loss and gradients of one step."""
    task.zero_grad()
    losses = task(next(training_batches(training_set, config, number, number + 1, 0, 1)))
    losses["loss"].backward()
    return losses["loss"].item(), {name: p.grad for name, p in task.named_parameters() if p.grad is not None}


def check_equal(found, expected) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        assert (found[1][name] - gradient).abs().max() <= 1e-4 * max(gradient.abs().max(), 1.0), name


@pytest.mark.parametrize("options", OPTIONS, ids=["compiled", "checkpointed", "both"])
def test_loss_and_gradients_stay(training_set, config, traced, options):
    """Over three steps, whose texts differ in number and length."""
    tasks = []
    for chosen in ({}, options):
        torch.manual_seed(0)
        tasks.append(PinClip(config))
        prepare_blocks(tasks[-1], TrainConfig(**chosen))
    for number in range(3):
        check_equal(step(tasks[1], training_set, config, number), step(tasks[0], training_set, config, number))
    assert bool(traced) == ("compile" in options)


@pytest.mark.parametrize("family", ["siglip", "clip"])
def test_layers_of_pretrained_towers_too(walked, config, checkpoints, traced, family):
    tower = {"pretrained": str(checkpoints[family])}
    towers = {"vision": tower | {"depths": [1], "width": 32}, "text": tower | {"context": 16, "width": 24}}
    config = override(config, towers)
    from model.training.dataset import load_training_set

    training_set, _ = load_training_set(*walked, config)
    torch.manual_seed(0)
    task = PinClip(config)
    expected = step(task, training_set, config, 0)
    prepare_blocks(task, TrainConfig(compile=True, activation_checkpointing=True))
    check_equal(step(task, training_set, config, 0), expected)
    assert len(transformer_blocks(task)) == 3 + 1 + 3 + 1
    assert len(traced) >= 2 * 3  # forward and backward of dense, of packed and of funnel blocks


def test_every_block_is_found(config):
    kinds = [type(block) for block in transformer_blocks(PinClip(config))]
    assert kinds == [Block, FunnelBlock, Block, Block]  # two of the vision tower, one of the text tower, one of fusion


def test_forgotten_activations_are_not_kept(training_set, config):
    """What the graph holds between the passes: less than half."""
    held = []
    for options in ({}, {"activation_checkpointing": True}):
        task, kept = PinClip(config), [0]
        prepare_blocks(task, TrainConfig(**options))

        def pack(tensor, kept=kept):
            kept[0] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            task(next(training_batches(training_set, config, 0, 1, 0, 1)))
        held.append(kept[0])
    assert held[1] < held[0] / 2


@pytest.mark.skipif(not COMPILER, reason="torch.compile needs a C++ compiler, and this machine has none")
def test_a_block_really_compiled():
    """By inductor, as training does it: one small block, forwards and backwards."""
    torch.manual_seed(0)
    plain, x = Block(8, 2), torch.randn(2, 4, 8)
    compiled = Block(8, 2)
    compiled.load_state_dict(plain.state_dict())
    prepare_blocks(torch.nn.ModuleList([compiled]), TrainConfig(compile=True))
    for block in (plain, compiled):
        block(x).square().sum().backward()
    assert torch.allclose(compiled(x), plain(x), atol=1e-5)
    for one, two in zip(plain.parameters(), compiled.parameters(), strict=True):
        assert torch.allclose(one.grad, two.grad, atol=1e-4)


def test_training_so_leaves_the_same_model(tmp_path, walked, config, traced):
    """bf16 too, where a copy of the task computes."""
    both = {"train": {"epochs": 1, "compile": True, "activation_checkpointing": True}}
    plain = fit(*walked, tmp_path / "plain", override(config, {"train": {"epochs": 1}}), lambda point: None)
    assert fit(*walked, tmp_path / "both", override(config, both), lambda point: None)["loss"] == pytest.approx(
        plain["loss"], rel=1e-4
    )
    assert traced


def test_a_machine_without_a_compiler(monkeypatch, config):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(TrainingError, match=r"needs a C\+\+ compiler; install g\+\+ .* or set train\.compile=false"):
        prepare_blocks(PinClip(config), TrainConfig(compile=True))
