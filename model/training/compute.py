"""How the transformer blocks compute: compiled, or with activations recomputed in the backward pass.

Blocks are compiled, not the whole network: one compilation serves all blocks of a kind, and the packing of texts
between them depends on lengths that a compiler cannot trace.
"""

import os
import shutil
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from model.config import TrainConfig
from model.errors import TrainingError


def prepare_blocks(task: nn.Module, config: TrainConfig) -> None:
    """Sets every block of the towers and of fusion to compute as train.compile and train.activation_checkpointing say.

    With activation checkpointing a block keeps its input alone and runs again in the backward pass (Chen 2016).

    Raises:
        TrainingError: train.compile is set on a machine without a compiler.
    """
    if config.compile:
        _check_compiler()
    for block in transformer_blocks(task):
        forward = torch.compile(block.forward) if config.compile else block.forward
        if config.activation_checkpointing:
            forward = partial(checkpoint, forward, use_reentrant=False)
        setattr(block, "forward", forward)  # noqa: B010  mypy has methods assigned no other way


def transformer_blocks(task: nn.Module) -> list[nn.Module]:
    """Lists of modules hold blocks and nothing else, the layers of pretrained towers among them; of the stages that
    some of those have, the blocks."""
    listed = [block for module in task.modules() if isinstance(module, nn.ModuleList) for block in module]
    return [block for block in listed if not any(isinstance(part, nn.ModuleList) for part in block.modules())]


def _check_compiler() -> None:
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        raise TrainingError(
            "train.compile needs a C++ compiler; install g++ on every worker or set train.compile=false."
        )
