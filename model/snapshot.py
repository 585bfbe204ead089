"""A training's memory across a kill: weights, optimizer state and curves, in safetensors beside the model folder."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from model.config import Config
from model.files import remove, replaced


class Snapshot:
    """One file, `.<name>.snapshot.safetensors` beside the model folder; the newest step replaces the one before."""

    def __init__(self, out: Path, config: Config) -> None:
        self.path = out.parent / f".{out.name}.snapshot.safetensors"
        self.config = config.to_json()

    def save(self, task: nn.Module, optimizer: torch.optim.Optimizer, step: int, curves: list[dict[str, Any]]) -> None:
        """`step` is the number of steps done."""
        tensors = {f"task.{name}": value for name, value in task.state_dict().items()}
        for parameter, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{parameter}.{name}": torch.as_tensor(value) for name, value in state.items()}
        metadata = {"step": str(step), "config": self.config, "curves": json.dumps(curves)}
        with replaced(self.path) as scratch:
            save_file({name: value.contiguous() for name, value in tensors.items()}, str(scratch), metadata)

    def restore(self, task: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, list[dict[str, Any]]]:
        """(steps done, curves so far); (0, []) where there is no snapshot of this configuration."""
        metadata = self._metadata()
        if metadata.get("config") != self.config:
            return 0, []
        tensors = load_file(self.path)
        task.load_state_dict({n.removeprefix("task."): v for n, v in tensors.items() if n.startswith("task.")})
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, parameter, key = name.split(".", 2)
                state.setdefault(int(parameter), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        _lay_out_as_parameters(optimizer)
        return int(metadata["step"]), json.loads(metadata["curves"])

    def kept_step(self) -> int:
        return int(self._metadata().get("step", 0))

    def discard(self) -> None:
        remove(self.path)

    def _metadata(self) -> dict[str, str]:
        if not self.path.is_file():
            return {}
        with safe_open(self.path, "pt") as file:
            return file.metadata()


def _lay_out_as_parameters(optimizer: torch.optim.Optimizer) -> None:
    """The fused AdamW walks raw memory: moments must lie there as their parameter does, convolutions channels-last."""
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter).copy_(value)
