"""Mixed precision: the network computes in bf16, the optimizer moves fp32 master weights.

This moves half the bytes and, unlike autocast, needs no casts between layers. Norms and attention accumulate in
fp32 inside; the losses, the temperatures and the optimizer are fp32 throughout.
"""

import copy
from typing import cast

import torch
from torch import nn

from model.config import TrainConfig
from model.training.objective import PinClip


class Working:
    """The task that computes. In fp32 it is the master itself; in bf16 a copy whose encoder is bf16."""

    def __init__(self, master: PinClip, dtype: torch.dtype) -> None:
        self.master = self.task = master
        self._pairs: list[tuple[nn.Parameter, nn.Parameter]] = []
        if dtype != torch.float32:
            self.task = copy.deepcopy(master)
            self.task.encoder.to(dtype)
            pairs = zip(master.parameters(), self.task.parameters(), strict=True)
            self._pairs = [(m, w) for m, w in pairs if m.requires_grad]

    def hand_over_gradients(self) -> None:
        """Working gradients are added to the master's, in fp32."""
        for master, working in self._pairs:
            if working.grad is not None:
                gradient = working.grad.to(master.dtype)
                master.grad = gradient if master.grad is None else master.grad + gradient
                working.grad = None

    @torch.no_grad()
    def take_weights(self) -> None:
        """Master weights -> working weights."""
        for master, working in self._pairs:
            working.copy_(master)


def training_dtype(config: TrainConfig) -> torch.dtype:
    """bf16 where asked for, or where the processor has the instructions (AVX512-BF16, AMX, CUDA)."""
    if config.precision == "auto":
        native = torch.cuda.is_bf16_supported() if torch.cuda.is_available() else _cpu_computes_in_bf16()
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if config.precision == "bf16" else torch.float32


def orthogonal_dtype(config: TrainConfig) -> torch.dtype:
    """In which Muon makes matrices orthogonal: bf16 where the training computes in it and matrix units do (AMX, CUDA).

    With AVX512-BF16 alone products of a few hundred rows take longer in bf16 than in fp32.
    """
    units = torch.cuda.is_available() or torch.cpu._is_amx_tile_supported()
    return training_dtype(config) if units else torch.float32


def _cpu_computes_in_bf16() -> bool:
    return cast(bool, torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
