"""A training's memory across a kill: weights, optimizer state and curves, in one safetensors file."""

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from model.config import Config
from model.files import remove, replaced
from model.optimizer import Optimizers


class Snapshot:
    """The newest step replaces the one before."""

    def __init__(self, path: Path, config: Config) -> None:
        self.path = path
        self.config = config.to_json()

    def save(self, task: nn.Module, optimizer: Optimizers, step: int, curves: list[dict[str, Any]]) -> None:
        """`step` is the number of steps done."""
        tensors = {f"task.{name}": value for name, value in task.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer.memory().items()}
        metadata = {"step": str(step), "config": self.config, "curves": json.dumps(curves)}
        with replaced(self.path) as scratch:
            save_file({name: value.contiguous() for name, value in tensors.items()}, str(scratch), metadata)

    def restore(self, task: nn.Module, optimizer: Optimizers) -> tuple[int, list[dict[str, Any]]]:
        """(steps done, curves so far); (0, []) where there is no snapshot of this configuration."""
        metadata = self._metadata()
        if metadata.get("config") != self.config:
            return 0, []
        tensors = load_file(self.path)
        task.load_state_dict({n.removeprefix("task."): v for n, v in tensors.items() if n.startswith("task.")})
        optimizer.remember({n.removeprefix("optimizer."): v for n, v in tensors.items() if n.startswith("optimizer.")})
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
