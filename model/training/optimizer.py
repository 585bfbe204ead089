"""The optimizer: Muon for the matrices of the transformer blocks, AdamW for everything else.

Embeddings, heads, convolutions, norms, biases and temperatures are no maps between hidden states, so they stay with
AdamW.
"""

from typing import Any

import torch
from torch import Tensor, nn

from model.config import TrainConfig
from model.training.muon import Muon
from model.training.objective import PinClip
from model.training.precision import orthogonal_dtype


class Optimizers:
    """One or two optimizers stepped as one. Every group carries its `share` of the learning rate."""

    def __init__(self, parts: list[torch.optim.Optimizer]) -> None:
        self.parts = parts

    @property
    def groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]

    def parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.groups for parameter in group["params"]]

    def set_learning_rate(self, rate: float) -> None:
        for group in self.groups:
            group["lr"] = rate * group["share"]

    def zero_grad(self) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def step(self) -> None:
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Tensor]:
        """Every moment of every parameter, named <part>.<parameter>.<moment>."""
        return {
            f"{number}.{parameter}.{name}": torch.as_tensor(value)
            for number, part in enumerate(self.parts)
            for parameter, state in part.state_dict()["state"].items()
            for name, value in state.items()
        }

    def load_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        """Restores what state_dict() returned."""
        for number, part in enumerate(self.parts):
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in state_dict.items():
                of, parameter, moment = name.split(".", 2)
                if int(of) == number:
                    state.setdefault(int(parameter), {})[moment] = value
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})
            _lay_out_as_parameters(part)


def optimizer_for(task: PinClip, config: TrainConfig) -> Optimizers:
    """Matrices decay; biases, norms, positions and temperatures do not. Pretrained layers learn more slowly."""
    shares = {f"encoder.{name}": share for name, share in task.encoder.learning_rate_shares().items()}
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}
    for name, parameter in task.named_parameters():
        if parameter.requires_grad:
            blocks = "blocks." in name and name not in shares  # pretrained matrices were learned by AdamW
            hidden = config.optimizer == "muon" and blocks and parameter.ndim == 2
            decay = config.weight_decay if parameter.ndim >= 2 and "position" not in name else 0.0
            groups.setdefault((hidden, shares.get(name, 1.0), decay), []).append(parameter)
    settings: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for hidden, share, decay in sorted(groups, reverse=True):
        group = {"params": groups[hidden, share, decay], "weight_decay": decay, "share": share}
        settings[hidden].append(group)
    rate = config.learning_rate
    parts: list[torch.optim.Optimizer] = []
    if settings[True]:
        parts.append(Muon(settings[True], lr=rate, dtype=orthogonal_dtype(config)))
    if settings[False]:
        parts.append(torch.optim.AdamW(settings[False], lr=rate, betas=(0.9, 0.98), fused=True))
    return Optimizers(parts)


def _lay_out_as_parameters(part: torch.optim.Optimizer) -> None:
    """The fused AdamW reads raw memory, so moments need the memory layout of their parameter (channels-last
    convolutions)."""
    for parameter, moments in part.state.items():
        for name, value in moments.items():
            if value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter).copy_(value)
