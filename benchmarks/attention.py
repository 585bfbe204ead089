"""Attention at the lengths of Pins: two written-out matrix products against the fused kernel, forward and backward.

    python benchmarks/attention.py

Prints the CPU seconds of both and their ratio, in one run on one core. It is why model/network/layers.py writes the
products out on a CPU.
"""

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from model.network.layers import attend

HEADS, HEAD_WIDTH, RUNS = 3, 64, 8
SHAPES = ((256, 64), (256, 16), (140, 24))  # (sequences, tokens): image stages before and after pooling, packed texts


def seconds(mix: Callable[[Tensor, Tensor, Tensor], Tensor], sequences: int, tokens: int) -> float:
    """The least CPU seconds of one forward and backward pass."""
    shape = (sequences, HEADS, tokens, HEAD_WIDTH)
    q, k, v = (torch.randn(shape, dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
    gradient, times = torch.randn(shape, dtype=torch.bfloat16), []
    for _ in range(RUNS):
        start = time.process_time()
        mix(q, k, v).backward(gradient)
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'sequences x tokens':>20} {'products':>10} {'fused':>10} {'ratio':>7}")
    for sequences, tokens in SHAPES:
        products = seconds(lambda q, k, v: attend(q, k, v, None), sequences, tokens)
        fused = seconds(F.scaled_dot_product_attention, sequences, tokens)
        print(f"{f'{sequences} x {tokens}':>20} {products:>8.4f} s {fused:>8.4f} s {fused / products:>6.1f}x")


if __name__ == "__main__":
    main()
