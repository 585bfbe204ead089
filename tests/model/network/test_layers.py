"""Packed attention against each sequence alone, the funnel's pooling and attention against loops."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from model.network.layers import Attention, Block, FunnelBlock, Packing, attend, initialise

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=12)


def random_block(kind=Block, width=8, heads=2, seed=0):
    torch.manual_seed(seed)
    return kind(width, heads)


def tokens(lengths, width=8):
    return torch.randn(sum(lengths), width, generator=torch.Generator().manual_seed(sum(lengths)))


@given(LENGTHS)
def test_a_grid_holds_every_token_once_and_its_sequence_in_one_row(lengths):
    packing = Packing.of(torch.tensor(lengths))
    rows, row_length = packing.grid_RL.shape
    assert row_length == max(1, *lengths)
    assert sorted(packing.slots_T.tolist()) == sorted(set(packing.slots_T.tolist()))
    assert packing.place_T.tolist() == [place for length in lengths for place in range(length)]
    assert packing.grid_RL.flatten()[packing.slots_T].tolist() == list(range(sum(lengths)))
    assert (packing.grid_RL == sum(lengths)).sum() == rows * row_length - sum(lengths)
    for part in torch.split(packing.slots_T, lengths):
        if len(part):
            assert part.tolist() == list(range(part[0], part[0] + len(part)))
            assert part[0] // row_length == part[-1] // row_length


@given(LENGTHS)
def test_packing_round_trip(lengths):
    packing, x = Packing.of(torch.tensor(lengths)), tokens(lengths)
    grid = packing.unpack(x)
    assert torch.equal(packing.pack(grid), x)
    assert grid.abs().sum().item() == pytest.approx(x.abs().sum().item(), rel=1e-5)


@given(LENGTHS)
def test_a_token_sees_its_own_sequence_alone(lengths):
    packing = Packing.of(torch.tensor(lengths))
    owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    for row, grid in zip(packing.attention_mask_RLL, packing.grid_RL, strict=True):
        for i, j in torch.cartesian_prod(*[torch.arange(len(grid))] * 2).view(-1, 2).tolist():
            if max(grid[i], grid[j]) < sum(lengths):
                assert row[i, j] == (owner[grid[i]] == owner[grid[j]])


@given(LENGTHS)
def test_packed_attention_is_attention_over_each_sequence_alone(lengths):
    attention, x = random_block(Attention), tokens(lengths)
    packed = attention.packed(x, Packing.of(torch.tensor(lengths)))
    for part, alone in zip(torch.split(packed, lengths), torch.split(x, lengths), strict=True):
        if len(alone):
            assert torch.allclose(part, attention(alone[None])[0], atol=1e-5)


def test_gradients_of_packed_attention_are_those_of_each_sequence_alone():
    lengths, attention = [3, 1, 5, 2], random_block(Attention)
    x, y = tokens(lengths).requires_grad_(), tokens(lengths).requires_grad_()
    (attention.packed(x, Packing.of(torch.tensor(lengths))) ** 2).sum().backward()
    torch.stack([(attention(part[None]) ** 2).sum() for part in torch.split(y, lengths)]).sum().backward()
    assert torch.allclose(x.grad, y.grad, atol=1e-5)


def test_a_packed_block_is_the_block():
    lengths, block = [4, 2, 3], random_block()
    x = tokens(lengths)
    packed = block(x, Packing.of(torch.tensor(lengths)))
    for part, alone in zip(torch.split(packed, lengths), torch.split(x, lengths), strict=True):
        assert torch.allclose(part, block(alone[None])[0], atol=1e-5)


def test_nothing_packed_is_nothing():
    packing = Packing.of(torch.zeros(0, dtype=torch.int64))
    assert random_block()(torch.zeros(0, 8), packing).shape == (0, 8)


@pytest.mark.parametrize("masked", [False, True])
def test_attend_equals_torch(masked):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 4) for n in (5, 7, 7))
    mask = torch.rand(2, 1, 5, 7) < 0.6 if masked else None
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert torch.allclose(attend(q, k, v, mask), expected, atol=1e-5)


def test_attention_by_hand():
    """Identity projections, one head of width 1, tokens 0 and ln 3: the first weighs both alike."""
    attention = Attention(1, 1)
    with torch.no_grad():
        for layer in (attention.query, attention.key_value, attention.out):
            layer.weight.fill_(1.0)
            layer.bias.zero_()
    log3 = torch.tensor(3.0).log()
    out = attention(torch.stack([torch.zeros(1), log3[None]])[None])[0, :, 0]
    second = torch.exp(log3 * log3)  # e^(q k) of the second token against e^0
    assert out[0].item() == pytest.approx(log3.item() / 2, rel=1e-5)
    assert out[1].item() == pytest.approx((log3 * second / (1 + second)).item(), rel=1e-5)


def naive_pool(x, side):
    """Mean of each 2 x 2 square, token by token."""
    pooled = []
    for row in range(0, side, 2):
        for column in range(0, side, 2):
            corners = [(row + i) * side + column + j for i in (0, 1) for j in (0, 1)]
            pooled.append(x[:, corners].mean(1))
    return torch.stack(pooled, 1)


@pytest.mark.parametrize("side", [2, 4, 8])
def test_the_funnel_pools_squares(side):
    x = torch.randn(3, side * side, 8)
    assert torch.allclose(random_block(FunnelBlock).pool(x), naive_pool(x, side), atol=1e-6)


def test_in_the_funnel_pooled_tokens_ask_and_all_tokens_answer():
    block, x = random_block(FunnelBlock), torch.randn(2, 16, 8)
    normed = block.attention_norm(x)
    expected = naive_pool(x, 4) + block.attention(normed, naive_pool(normed, 4))
    expected = expected + block.mlp(block.mlp_norm(expected))
    assert torch.allclose(block(x), expected, atol=1e-6)
    assert block(x).shape == (2, 4, 8)


def test_the_start_of_the_weights():
    block = Block(64, 4)
    block.apply(initialise)
    for name, parameter in block.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all()
        elif "norm" not in name:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.1)
