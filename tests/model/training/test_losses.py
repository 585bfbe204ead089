"""The losses against their formulas written as loops, and against cases worked out by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from model.training import losses
from model.training.losses import Temperature, sigmoid_loss, softmax_loss


def naive_sigmoid(x, y, labels, temperature):
    """SigLIP's equation 1, pair by pair."""
    scale, bias = temperature.log_scale.exp(), temperature.bias
    total = torch.zeros(())
    for i in range(len(x)):
        for j in range(len(y)):
            if labels[i, j]:
                total = total - torch.log(1 / (1 + torch.exp(-float(labels[i, j]) * (scale * x[i].dot(y[j]) + bias))))
    return total / len(x)


def pairs(rows: int, columns: int, seed: int = 0, dim: int = 6):
    """Normalised x and y that want gradients, labels of all three kinds, and a temperature that is not the start."""
    generator = torch.Generator().manual_seed(seed)
    x, y = (F.normalize(torch.randn(n, dim, generator=generator), dim=1) for n in (rows, columns))
    labels = torch.randint(-1, 2, (rows, columns), generator=generator, dtype=torch.int8)
    temperature = Temperature(rows)
    with torch.no_grad():
        temperature.log_scale.fill_(1.3)
        temperature.bias.fill_(-0.7)
    return x.requires_grad_(), y.requires_grad_(), labels, temperature


def gradients(loss, x, y, temperature):
    return torch.autograd.grad(loss, [x, y, temperature.log_scale, temperature.bias])


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 1000))
def test_sigmoid_equals_the_double_loop(rows, columns, seed):
    x, y, labels, temperature = pairs(rows, columns, seed)
    assert sigmoid_loss(x, y, labels, temperature).item() == pytest.approx(
        naive_sigmoid(x, y, labels, temperature).item(), abs=1e-5
    )


def test_sigmoid_gradients_equal_the_double_loop():
    x, y, labels, temperature = pairs(6, 6)
    ours = gradients(sigmoid_loss(x, y, labels, temperature), x, y, temperature)
    naive = gradients(naive_sigmoid(x, y, labels, temperature), x, y, temperature)
    for a, b in zip(ours, naive, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_sigmoid_by_hand():
    """Two orthogonal pairs, t = 10, b = -ln 2: a match has logit 10 - ln 2, a stranger -ln 2."""
    x = torch.eye(2)
    labels = torch.tensor([[1, -1], [-1, 1]], dtype=torch.int8)
    expected = math.log1p(2 * math.exp(-10)) + math.log(1.5)  # a row: one match, one stranger
    assert sigmoid_loss(x, x, labels, Temperature(2)).item() == pytest.approx(expected, rel=1e-5)


def test_a_pair_labelled_0_adds_nothing():
    x, y, labels, temperature = pairs(5, 5)
    labels[:, 3] = 0
    moved = y.detach().clone()
    moved[3] = -moved[3]
    assert torch.equal(sigmoid_loss(x, y, labels, temperature), sigmoid_loss(x, moved, labels, temperature))
    assert gradients(sigmoid_loss(x, y, labels, temperature), x, y, temperature)[1][3].abs().max() == 0
    assert sigmoid_loss(x, y, torch.zeros_like(labels), temperature) == 0


@pytest.mark.parametrize("block", [1, 3, 4])
def test_blocks_equal_the_whole(monkeypatch, block):
    x, y, labels, temperature = pairs(5, 11)
    whole = sigmoid_loss(x, y, labels, temperature)
    wanted = gradients(whole, x, y, temperature)
    monkeypatch.setattr(losses, "BLOCK", block)
    parts = sigmoid_loss(x, y, labels, temperature)
    assert parts.item() == pytest.approx(whole.item(), rel=1e-6)
    for a, b in zip(gradients(parts, x, y, temperature), wanted, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_softmax_is_cross_entropy_where_each_row_has_one_match():
    x, y, _, temperature = pairs(6, 6)
    labels = (2 * torch.eye(6) - 1).to(torch.int8)
    expected = F.cross_entropy(temperature(x @ y.T), torch.arange(6))
    loss = softmax_loss(x, y, labels, temperature)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for a, b in zip(gradients(loss, x, y, temperature), gradients(expected, x, y, temperature), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_softmax_of_rows_with_several_matches_and_with_none():
    x, y, _, temperature = pairs(3, 4)
    labels = torch.tensor([[1, 1, -1, 0], [-1, -1, -1, -1], [0, -1, 1, -1]], dtype=torch.int8)
    logits = temperature(x @ y.T)
    first = F.log_softmax(logits[0, :3], 0)[:2].mean()  # a column labelled 0 is not in the sum
    third = F.log_softmax(logits[2, 1:], 0)[1]
    assert softmax_loss(x, y, labels, temperature).item() == pytest.approx(-(first + third).item() / 3, rel=1e-5)
    gradient = gradients(softmax_loss(x, y, labels, temperature), x, y, temperature)
    assert all(torch.isfinite(g).all() for g in gradient)
    assert gradient[0][1].abs().max() == 0


def test_at_the_start_a_pair_of_unrelated_vectors_is_a_match_once_a_batch():
    for size in (2, 256, 4096):
        odds = Temperature(size)(torch.tensor(0.0)).exp().item()
        assert odds == pytest.approx(1 / size, rel=1e-4)


def test_a_temperature_never_exceeds_100():
    temperature = Temperature(1)
    assert temperature(torch.tensor(1.0)).item() == pytest.approx(10.0)
    with torch.no_grad():
        temperature.log_scale.fill_(20.0)
    assert temperature(torch.tensor(1.0)).item() == pytest.approx(100.0)


def test_alone_a_worker_is_the_whole_world():
    assert losses.world() == (0, 1)
