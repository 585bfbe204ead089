"""Alignment losses over all workers' negatives.

The sigmoid loss (SigLIP, Zhai 2023, eq. 1) judges every pair on its own:

    L = -1/B  sum_ij  |l_ij| log sigmoid( l_ij (t x_i . y_j + b) )        l_ij = +1 positive, -1 negative, 0 left out

So it never needs the whole B x B matrix: each worker holds its own rows x, the columns y travel from worker to worker
in a ring, and the logits of one block are recomputed in the backward pass instead of kept.

Shape legend: b rows of this worker · B rows of all workers (b * workers) · E vector dimension
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

BLOCK = 2048  # columns of a block of logits


class Temperature(nn.Module):
    """The learned scale and bias of one objective.

    They start so that the probability of a match is 1 / batch for every pair, which is right with one match a row.
    (SigLIP's b = -10 says so for 32,768 rows; at 256 it cost a third of PinText recall after 8 epochs.)
    """

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())
        self.bias = nn.Parameter(-torch.tensor(float(batch_size)).log())

    def forward(self, cosines: Tensor) -> Tensor:
        return self.log_scale.exp().clamp(max=100.0) * cosines + self.bias


def sigmoid_loss(x_bE: Tensor, y_bE: Tensor, labels_bB: Tensor, temperature: Temperature) -> Tensor:
    """Mean over this worker's rows; the mean over workers is the loss of the global batch.

    labels_bB: int8, this worker's rows against the columns of all workers in rank order.
    """
    total = x_bE.new_zeros(())
    for first, y_cE in _columns(y_bE):
        for start in range(0, y_cE.shape[0], BLOCK):
            y_part = y_cE[start : start + BLOCK]
            labels = labels_bB[:, first + start : first + start + y_part.shape[0]]
            total = total + checkpoint(_sigmoid_block, x_bE, y_part, labels, temperature, use_reentrant=False)
    return total / x_bE.shape[0]


def softmax_loss(x_bE: Tensor, y_bE: Tensor, labels_bB: Tensor, temperature: Temperature) -> Tensor:
    """InfoNCE over rows (CLIP), for comparison: needs each row's logits whole. Rows without a positive are left out."""
    y_BE = torch.cat([y_cE for _, y_cE in sorted(_columns(y_bE), key=lambda column: column[0])])
    logits_bB = (temperature(x_bE @ y_BE.T)).masked_fill(labels_bB == 0, -torch.inf)
    positive = labels_bB > 0
    rows = positive.any(1)
    log_p = F.log_softmax(logits_bB[rows], dim=1).masked_fill(~positive[rows], 0.0)
    return -(log_p.sum(1) / positive[rows].sum(1)).sum() / x_bE.shape[0]


def pair_loss(
    loss: str, x_bE: Tensor, y_bE: Tensor, labels_bB: Tensor, back_bB: Tensor, temperature: Temperature
) -> Tensor:
    """The named loss of the pairs; softmax reads them from both sides.

    labels_bB: rows x against the columns y of all workers; back_bB: rows y against the columns x.
    """
    if loss == "sigmoid":
        return sigmoid_loss(x_bE, y_bE, labels_bB, temperature)
    return (softmax_loss(x_bE, y_bE, labels_bB, temperature) + softmax_loss(y_bE, x_bE, back_bB, temperature)) / 2


def _sigmoid_block(x_bE: Tensor, y_cE: Tensor, labels_bc: Tensor, temperature: Temperature) -> Tensor:
    labels = labels_bc.to(x_bE.dtype)
    return -(F.logsigmoid(labels * temperature(x_bE @ y_cE.T)) * labels.abs()).sum()


def _columns(y_bE: Tensor) -> list[tuple[int, Tensor]]:
    """(first column, vectors) of every worker: ours, then what each turn of the ring brings."""
    rank, workers = world()
    columns = [(rank * y_bE.shape[0], y_bE)]
    for turn in range(1, workers):
        y_bE = _RingShift.apply(y_bE)
        columns.append(((rank - turn) % workers * y_bE.shape[0], y_bE))
    return columns


def world() -> tuple[int, int]:
    """(rank, workers); (0, 1) outside a distributed run."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


class _RingShift(torch.autograd.Function):
    """Hands the tensor to the next worker and takes the previous worker's; gradients travel back the same way."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        return _shift(x, +1)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        return _shift(gradient, -1)


def _shift(x: Tensor, by: int) -> Tensor:
    rank, workers = world()
    sent, received = x.contiguous(), torch.empty_like(x)
    operations = [
        dist.P2POp(dist.isend, sent, (rank + by) % workers),
        dist.P2POp(dist.irecv, received, (rank - by) % workers),
    ]
    for request in dist.batch_isend_irecv(operations):
        request.wait()
    return received
