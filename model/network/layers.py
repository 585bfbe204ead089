"""Transformer blocks for dense and for packed sequences.

Texts differ in length. Packed, all their tokens stand in one (T, D) matrix without padding: the linear layers, nearly
all of the work, never see a pad token. Only attention lays the tokens out as (R, L, D), several short sequences to a
row; the attention mask keeps each from the others in its row.

Shape legend: N sequences · T tokens of all · R rows · L row length · Q queries · D width · H heads · K head width
S side of a square map
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Packing:
    """Where the T packed tokens of N sequences stand in an (R, L) grid.

    slots_T: grid position of every token;  grid_RL: token at a position, T where there is none;
    place_T: position of every token within its sequence;  attention_mask_RLL: True where a token may attend to another.
    """

    slots_T: Tensor
    grid_RL: Tensor
    place_T: Tensor
    attention_mask_RLL: Tensor

    @staticmethod
    def of(lengths_N: Tensor) -> "Packing":
        """Tokens stand sequence after sequence, `lengths_N` of each; a row is as long as the longest."""
        device, total = lengths_N.device, int(lengths_N.sum())
        longest, starts, filled, rows = max(int(lengths_N.max()), 1) if lengths_N.numel() else 1, [], 0, 0
        for length in lengths_N.tolist():
            if filled + length > longest:
                rows, filled = rows + 1, 0
            starts.append(rows * longest + filled)
            filled += length
        sequence_T = torch.repeat_interleave(torch.arange(len(starts), device=device), lengths_N, output_size=total)
        token_T = torch.arange(total, device=device)
        place_T = token_T - (torch.cumsum(lengths_N, 0) - lengths_N)[sequence_T]
        slots_T = torch.tensor(starts, dtype=torch.int64, device=device)[sequence_T] + place_T
        grid = torch.full(((rows + 1) * longest,), total, device=device)
        grid[slots_T] = token_T
        owner = torch.full_like(grid, -1)
        owner[slots_T] = sequence_T
        owner_RL = owner.view(-1, longest)
        return Packing(slots_T, grid.view(-1, longest), place_T, owner_RL[:, :, None] == owner_RL[:, None, :])

    def unpack(self, x_TD: Tensor) -> Tensor:
        """(T, D) -> (R, L, D), zeros where there is no token."""
        return F.pad(x_TD, (0, 0, 0, 1)).index_select(0, self.grid_RL.flatten()).unflatten(0, self.grid_RL.shape)

    def pack(self, x_RLD: Tensor) -> Tensor:
        """(R, L, D) -> (T, D)."""
        return x_RLD.flatten(0, 1).index_select(0, self.slots_T)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x_NLD: Tensor, queries_NQD: Tensor | None = None) -> Tensor:
        """Dense self-attention, or attention from fewer queries (a funnel's pooled tokens) over all tokens."""
        if queries_NQD is None:
            return self.out(self._mix(*self._project(x_NLD).chunk(3, dim=-1)))
        k, v = self.key_value(x_NLD).chunk(2, dim=-1)
        return self.out(self._mix(self.query(queries_NQD), k, v))

    def packed(self, x_TD: Tensor, packing: Packing) -> Tensor:
        """Self-attention within each packed sequence."""
        q, k, v = packing.unpack(self._project(x_TD)).chunk(3, dim=-1)
        return self.out(packing.pack(self._mix(q, k, v, packing.attention_mask_RLL[:, None])))

    def _project(self, x: Tensor) -> Tensor:
        """Queries, keys and values (…, 3 D) in one product: two take a fifth longer."""
        layers = self.query, self.key_value
        return F.linear(x, torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers]))

    def _mix(self, q: Tensor, k: Tensor, v: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        return attend(q, k, v, attention_mask).transpose(1, 2).flatten(2)


def attend(q_NHQK: Tensor, k_NHLK: Tensor, v_NHLK: Tensor, attention_mask_N1QL: Tensor | None) -> Tensor:
    """Scaled dot-product attention (N, H, Q, K); the mask is True where a query may attend to a key.

    On a CPU the fused kernel is four to seven times slower than two matrix products at the lengths of Pins (16 to 64
    tokens, benchmarks/attention.py), so there the products are written out.
    """
    if q_NHQK.is_cuda:
        return F.scaled_dot_product_attention(q_NHQK, k_NHLK, v_NHLK, attn_mask=attention_mask_N1QL)
    scores_NHQL = (q_NHQK * q_NHQK.shape[-1] ** -0.5) @ k_NHLK.transpose(-1, -2)
    if attention_mask_N1QL is not None:
        scores_NHQL = scores_NHQL.masked_fill(~attention_mask_N1QL, -1e4)
    return scores_NHQL.softmax(-1) @ v_NHLK


class Block(nn.Module):
    """Pre-norm transformer block; `packing` given, the input is packed."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, packing: Packing | None = None) -> Tensor:
        normed = self.attention_norm(x)
        x = x + (self.attention(normed) if packing is None else self.attention.packed(normed, packing))
        return x + self.mlp(self.mlp_norm(x))


class FunnelBlock(Block):
    """Leaves a quarter of the tokens: the queries are pooled tokens, keys and values are all tokens
    (Funnel-Transformer, Dai 2020)."""

    def pool(self, x_NLD: Tensor) -> Tensor:
        """Mean over 2 x 2 neighbouring tokens of a square grid: (N, L, D) -> (N, L / 4, D)."""
        side = int(x_NLD.shape[1] ** 0.5)
        map_NDSS = x_NLD.unflatten(1, (side, side)).permute(0, 3, 1, 2)  # a channels-last view, of which a mean over
        return F.avg_pool2d(map_NDSS, 2).permute(0, 2, 3, 1).flatten(1, 2)  # two axes would take six times as long

    def forward(self, x: Tensor, packing: Packing | None = None) -> Tensor:
        normed = self.attention_norm(x)
        x = self.pool(x) + self.attention(normed, self.pool(normed))
        return x + self.mlp(self.mlp_norm(x))


def initialise(module: nn.Module) -> None:
    """Truncated normal weights (std 0.02), zero biases: the usual start of a ViT."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
