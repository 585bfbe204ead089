"""A training's memory across a kill: weights, optimizer state and curves, in one safetensors file."""

import json
import logging
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from model.config import TRAINED, Config
from model.files import remove, replaced
from model.training.optimizer import Optimizers


class Snapshot:
    """The newest step replaces the one before."""

    def __init__(self, path: Path, config: Config) -> None:
        self.path = path
        self.config = config.only(TRAINED).to_json()

    def save(self, task: nn.Module, optimizer: Optimizers, step: int, curves: list[dict[str, Any]]) -> None:
        """`step` is the number of steps done."""
        tensors = {f"task.{name}": value for name, value in task.state_dict().items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer.state_dict().items()}
        metadata = {"step": str(step), "config": self.config, "curves": json.dumps(curves)}
        with replaced(self.path) as scratch:
            save_file({name: value.contiguous() for name, value in tensors.items()}, str(scratch), metadata)

    def restore(self, task: nn.Module, optimizer: Optimizers) -> tuple[int, list[dict[str, Any]]]:
        """(steps done, curves so far); (0, []) where there is none, or one of other settings, which the log names."""
        metadata = self._metadata()
        if not metadata:
            return 0, []
        if other := self.difference():
            logging.getLogger(__name__).warning("The snapshot %s is passed over: %s.", self.path, other)
            return 0, []
        tensors = load_file(self.path)
        task.load_state_dict({n.removeprefix("task."): v for n, v in tensors.items() if n.startswith("task.")})
        optimizer.load_state_dict(
            {n.removeprefix("optimizer."): v for n, v in tensors.items() if n.startswith("optimizer.")}
        )
        return int(metadata["step"]), json.loads(metadata["curves"])

    def difference(self) -> str:
        """The first setting that is another one in the file: "train.epochs is 20 there and 30 here"; "" where none."""
        there, here = (_flat(json.loads(text)) for text in (self._metadata()["config"], self.config))
        keys = (key for key in {**here, **there} if there.get(key) != here.get(key))
        return next((f"{key} is {there.get(key)} there and {here.get(key)} here" for key in keys), "")

    def kept_step(self) -> int:
        return int(self._metadata().get("step", 0))

    def discard(self) -> None:
        remove(self.path)

    def _metadata(self) -> dict[str, str]:
        if not self.path.is_file():
            return {}
        with safe_open(self.path, "pt") as file:
            return file.metadata()


def _flat(tree: dict[str, Any]) -> dict[str, Any]:
    """{"train": {"epochs": 2}} -> {"train.epochs": 2}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    return flat
