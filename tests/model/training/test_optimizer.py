"""The optimizer: who is whose, and a memory that survives a kill."""

import pytest
import torch

from model.config.overrides import override
from model.training.objective import PinClip
from model.training.optimizer import Optimizers, optimizer_for


@pytest.fixture(scope="module")
def task(config):
    return PinClip(config)


def test_every_parameter_learns_once(task, config):
    trained = optimizer_for(task, config.train).parameters()
    assert len({id(p) for p in trained}) == len(trained) == len(list(task.parameters()))


def test_muon_moves_the_matrices_of_the_blocks_alone(task, config):
    muon, adamw = optimizer_for(task, config.train).parts
    hidden = {id(p) for name, p in task.named_parameters() if "blocks." in name and p.ndim == 2}
    assert {id(p) for group in muon.param_groups for p in group["params"]} == hidden
    assert not hidden & {id(p) for group in adamw.param_groups for p in group["params"]}
    assert any("token.weight" in name and id(p) not in hidden for name, p in task.named_parameters())


def test_adamw_alone_on_demand(task, config):
    alone = optimizer_for(task, override(config, {"train": {"optimizer": "adamw"}}).train)
    assert [type(part) for part in alone.parts] == [torch.optim.AdamW]


@pytest.mark.parametrize("name", ["muon", "adamw"])
def test_only_matrices_decay(task, config, name):
    optimizer = optimizer_for(task, override(config, {"train": {"optimizer": name}}).train)
    for group in optimizer.groups:
        assert group["weight_decay"] in (0.0, config.train.weight_decay)
        assert all((p.ndim >= 2) or group["weight_decay"] == 0.0 for p in group["params"])
    positions = {id(p) for n, p in task.named_parameters() if "position" in n}
    assert not positions & {id(p) for g in optimizer.groups if g["weight_decay"] for p in g["params"]}


def test_its_memory_goes_on_as_if_nothing_had_happened(config):
    def walk(task: PinClip, optimizer: Optimizers, first: int, last: int) -> None:
        for step in range(first, last):
            for number, parameter in enumerate(optimizer.parameters()):
                generator = torch.Generator().manual_seed(1000 * step + number)
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.set_learning_rate(1e-3)
            optimizer.step()

    torch.manual_seed(0)
    one, two = PinClip(config), PinClip(config)
    two.load_state_dict(one.state_dict())
    straight, before = optimizer_for(one, config.train), optimizer_for(two, config.train)
    walk(one, straight, 0, 4)
    walk(two, before, 0, 2)
    after = optimizer_for(two, config.train)
    after.load_state_dict({name: value.clone() for name, value in before.state_dict().items()})
    walk(two, after, 2, 4)
    assert all(torch.equal(one.state_dict()[name], value) for name, value in two.state_dict().items())
