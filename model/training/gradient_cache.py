"""Gradient caching: a large batch in the memory of a small one (GradCache, Gao 2021).

A contrastive loss needs the vectors of the whole batch, but their gradients need the network for a part at a time:

    1. every part passes the network without a graph; its vectors are kept
    2. the loss of all vectors, and its gradient in each of them (the cache)
    3. every part passes again with a graph, and its cached gradients go back through it

Loss and gradients are those of the plain step, for a third more arithmetic (a second forward pass). Nothing in
the network draws random numbers, so the second pass repeats the first.

Shape legend: b Pins of this worker · N its texts · n texts of a part · t tokens of a part
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.distributed as dist
from torch import Tensor, nn

from model.network.text import Texts
from model.training.losses import world
from model.training.precision import Working
from model.training.sampling import Batch


def cached_backward(working: Working, batch: Batch, micro_batch: int) -> dict[str, Tensor]:
    """The losses of this worker's rows; leaves the gradients, the mean over all workers, in the master weights."""
    task, parts = working.task, list(micro_batches(batch, micro_batch))
    with torch.no_grad():
        embedded = [task.embed(part) for part in parts]
    vectors = {name: torch.cat([found[name] for found in embedded]).requires_grad_() for name in embedded[0]}
    losses = task.compare(vectors, batch)
    losses["loss"].backward()
    cached = {name: vector.grad.split(micro_batch) for name, vector in vectors.items() if vector.grad is not None}
    for i, part in enumerate(parts):
        again = task.embed(part)
        torch.autograd.backward([again[name] for name in cached], [gradients[i] for gradients in cached.values()])
        working.hand_over_gradients()  # after each part: bf16 would round many small sums away
    _average([p for p in working.master.parameters() if p.requires_grad])
    return losses


def micro_batches(batch: Batch, size: int) -> Iterator[Batch]:
    """The batch in parts of `size` Pins with their texts; what only the loss reads is left out."""
    for start in range(0, len(batch.pixels_bSS3), size):
        pins = slice(start, start + size)
        slots = {role: slot_b[pins] for role, slot_b in batch.slot.items()}
        chosen_n = torch.cat([slot_b[slot_b >= 0] for slot_b in slots.values()])
        place = batch.owner_N.new_full((len(batch.owner_N) + 1,), -1)  # the last for a slot of -1: no text
        place[chosen_n] = torch.arange(len(chosen_n), device=chosen_n.device)
        owner_n = batch.owner_N[chosen_n]
        yield replace(
            batch,
            pixels_bSS3=batch.pixels_bSS3[pins],
            kept_bLH=None if batch.kept_bLH is None else batch.kept_bLH[pins],
            texts=_chosen(batch.texts, chosen_n),
            owner_N=torch.where(owner_n >= 0, owner_n - start, -1),
            slot={role: place[slot_b] for role, slot_b in slots.items()},
            has_image_b=batch.has_image_b[pins],
            has_text_b=batch.has_text_b[pins],
            labels={},
            labels_back={},
        )


def _chosen(texts: Texts, chosen_n: Tensor) -> Texts:
    lengths_n = texts.lengths_N[chosen_n]
    before_n = (torch.cumsum(texts.lengths_N, 0) - texts.lengths_N)[chosen_n]
    shift_n = before_n - (torch.cumsum(lengths_n, 0) - lengths_n)
    tokens_t = torch.arange(int(lengths_n.sum()), device=chosen_n.device) + torch.repeat_interleave(shift_n, lengths_n)
    kept_nH = None if texts.kept_NH is None else texts.kept_NH[chosen_n]
    return Texts(texts.ids_T[tokens_t], lengths_n, texts.types_N[chosen_n], kept_nH)


def _average(parameters: list[nn.Parameter]) -> None:
    """What DistributedDataParallel does during a backward pass, once after many: one sum of all gradients."""
    workers = world()[1]
    if workers == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, mean in zip(gradients, flat.div_(workers).split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
