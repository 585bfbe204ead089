"""Muon (Jordan 2024), scaled to AdamW's step size as in Liu 2025, "Muon is scalable for LLM training".

A matrix's momentum is replaced by its nearest orthogonal matrix, so that every direction of it learns at the same rate.
It is torch.optim.Muon's step, but Newton–Schulz computes in the precision that is quicker on this machine: torch's
bf16 takes twice the time of fp32 where a processor has no matrix units for it, and twenty times as long where it has
no instructions for it (docs/experiments.md).

Shape legend: R rows · C columns
"""

from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
STEPS = 5  # of Newton–Schulz
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of its polynomial, Jordan's


class Muon(torch.optim.Optimizer):
    """Nesterov momentum and decoupled weight decay; every parameter is a matrix. Newton–Schulz computes in `dtype`."""

    def __init__(self, groups: list[dict[str, Any]], lr: float, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})
        self.dtype = dtype

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
        step_RC = orthogonal(weight_RC.grad.lerp(momentum_RC, MOMENTUM), self.dtype)
        weight_RC.mul_(1 - rate * decay)
        weight_RC.add_(step_RC, alpha=-rate * 0.2 * max(weight_RC.shape) ** 0.5)


def orthogonal(x_RC: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Near the nearest (semi-)orthogonal matrix: singular values of about 0.7 to 1.2 in place of x's own.

    Newton–Schulz multiplies by itself as often as it takes, and needs no singular value decomposition. In fp32 it
    computes on x xᵀ, which is the smaller matrix; bf16 would lose x's small singular values there.
    """
    if x_RC.shape[0] > x_RC.shape[1]:
        return orthogonal(x_RC.T, dtype).T
    x_RC = (x_RC / x_RC.norm().clamp(min=1e-7)).to(dtype)
    return (_by_gram_matrix(x_RC) if dtype == torch.float32 else _by_itself(x_RC)).to(torch.float32)


def _by_itself(x_RC: Tensor) -> Tensor:
    """x <- p(G) x with G = x xᵀ, STEPS times."""
    for _ in range(STEPS):
        x_RC = _polynomial(x_RC @ x_RC.T) @ x_RC
    return x_RC


def _by_gram_matrix(x_RC: Tensor) -> Tensor:
    """The same product of polynomials p(G) and x, but only G is multiplied from step to step: G <- p(G) G p(G)."""
    gram_RR = x_RC @ x_RC.T
    product_RR = _polynomial(gram_RR)
    polynomial_RR = product_RR
    for _ in range(STEPS - 1):
        gram_RR = polynomial_RR @ (gram_RR @ polynomial_RR)
        polynomial_RR = _polynomial(gram_RR)
        product_RR = polynomial_RR @ product_RR
    return product_RR @ x_RC


def _polynomial(gram_RR: Tensor) -> Tensor:
    """a + b G + c G²."""
    a, b, c = COEFFICIENTS
    value_RR = torch.addmm(gram_RR, gram_RR, gram_RR, beta=b, alpha=c)
    value_RR.diagonal().add_(a)
    return value_RR
