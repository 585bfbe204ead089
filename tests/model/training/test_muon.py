"""Muon: its step by definition, and beside PyTorch's own."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from model.training.muon import Muon, orthogonal


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_singular_values_come_near_one_and_directions_stay(rows, columns, seed):
    """Of x = U S V, U V comes back but for its scale; the polynomial's fixed points lie around 1."""
    x = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    u, values, v = torch.linalg.svd(x, full_matrices=False)
    kept = values > 0.05 * values.norm()  # smaller ones need more steps
    found = u.T @ orthogonal(x) @ v.T
    assert torch.allclose(found, torch.diag(found.diagonal()), atol=1e-3)
    assert ((found.diagonal()[kept] > 0.6) & (found.diagonal()[kept] < 1.3)).all()


def test_a_matrix_of_one_value_by_hand():
    """x = 3: normalised to 1, where the polynomial gives 3.4445 - 4.7750 + 2.0315 = 0.701, then through it again."""
    value = 1.0
    for _ in range(5):
        value = 3.4445 * value - 4.7750 * value**3 + 2.0315 * value**5
    assert orthogonal(torch.tensor([[3.0]])).item() == pytest.approx(value, abs=1e-5)


def by_definition(x):
    """Newton–Schulz as Jordan wrote it, in float64."""
    x = x.double() / x.double().norm()
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x - 4.7750 * gram @ x + 2.0315 * gram @ gram @ x
    return x


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1.0, 1e-3, 1e-12]), st.integers(0, 9))
def test_is_newton_schulz_whatever_the_singular_values(rows, columns, smallest, seed):
    """Gradients have directions that nearly vanish: the Gram matrix squares them, and they must not come to life."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, columns, generator=generator) * torch.logspace(0, math.log10(smallest), columns)
    naive = by_definition(x)
    assert (orthogonal(x) - naive).norm() < 1e-3 * naive.norm()


@given(st.integers(8, 40), st.integers(8, 40), st.sampled_from([1.0, 1e-3, 1e-12]), st.integers(0, 9))
def test_in_bf16_it_is_so_but_for_the_rounding(rows, columns, smallest, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, columns, generator=generator) * torch.logspace(0, math.log10(smallest), columns)
    found = orthogonal(x, torch.bfloat16)
    assert found.dtype == torch.float32
    assert (found - by_definition(x)).norm() < 0.1 * by_definition(x).norm()


def test_several_steps_are_those_of_pytorch_but_for_its_bf16():
    torch.manual_seed(0)
    start = [torch.randn(32, 64), torch.randn(48, 16)]
    ours, theirs = ([nn.Parameter(x.clone()) for x in start] for _ in range(2))
    optimizers = (
        Muon([{"params": ours, "weight_decay": 0.05}], lr=0.01),
        torch.optim.Muon(theirs, lr=0.01, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(4):
        gradients = [torch.randn_like(x) for x in start]
        for parameters, optimizer in zip((ours, theirs), optimizers, strict=True):
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient.clone()
            optimizer.step()
    for before, one, two in zip(start, ours, theirs, strict=True):
        assert (one - two).norm() < 0.02 * (two - before).norm()


def test_a_parameter_without_a_gradient_stays():
    parameter = nn.Parameter(torch.ones(2, 3))
    Muon([{"params": [parameter], "weight_decay": 0.5}], lr=0.1).step()
    assert torch.equal(parameter.detach(), torch.ones(2, 3))
