"""Muon (Jordan 2024), scaled to AdamW's step size as in Liu 2025, "Muon is scalable for LLM training".

A matrix's momentum is replaced by its nearest orthogonal matrix, so that every direction of it learns at the same rate.
It is torch.optim.Muon's step in the precision of the weights: torch computes Newton–Schulz in bf16, which a processor
without bf16 instructions takes twenty times as long for as in fp32 (docs/experiments.md).

Shape legend: R rows · C columns
"""

from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
STEPS = 5  # of Newton–Schulz
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of its polynomial, Jordan's


class Muon(torch.optim.Optimizer):
    """Nesterov momentum and decoupled weight decay; every parameter is a matrix."""

    def __init__(self, groups: list[dict[str, Any]], lr: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for weight_RC in group["params"]:
                if weight_RC.grad is not None:
                    self._move(weight_RC, group["lr"], group["weight_decay"])

    def _move(self, weight_RC: Tensor, rate: float, decay: float) -> None:
        state = self.state[weight_RC]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight_RC)
        momentum_RC = state["momentum_buffer"].lerp_(weight_RC.grad, 1 - MOMENTUM)
        step_RC = orthogonal(weight_RC.grad.lerp(momentum_RC, MOMENTUM))
        weight_RC.mul_(1 - rate * decay)
        weight_RC.add_(step_RC, alpha=-rate * 0.2 * max(weight_RC.shape) ** 0.5)


def orthogonal(x_RC: Tensor) -> Tensor:
    """Near the nearest (semi-)orthogonal matrix: singular values of about 0.7 to 1.2 in place of x's own.

    Newton–Schulz multiplies by itself as often as it takes, and needs no singular value decomposition.
    """
    if x_RC.shape[0] > x_RC.shape[1]:
        return orthogonal(x_RC.T).T
    a, b, c = COEFFICIENTS
    x_RC = x_RC / x_RC.norm().clamp(min=1e-7)
    for _ in range(STEPS):
        gram_RR = x_RC @ x_RC.T
        x_RC = torch.addmm(x_RC, torch.addmm(gram_RR, gram_RR, gram_RR, beta=b, alpha=c), x_RC, beta=a)
    return x_RC
