"""Where the time of a training step goes, and how near the processor's limit it could come.

    python benchmarks/step_profile.py [--arm hybrid|plain|pinclip] [--full-texts]

The step of benchmarks/training_step.py. Three tables:

    parts        forward and loss, backward, gradients and weights between bf16 and fp32, optimizer: share of the step
    operations   of forward and backward by kind: share of their time, FLOPs, GFLOP/s
    limit        every matrix product and convolution of the step once more, alone and in its own shape: what the step
                 would reach if it were nothing else (utilization: FLOPs over the best bf16 product of the same run)
"""

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode
from training_step import ARMS, BATCH, CONTEXT, TOWERS, batch_of, peak_flops

from components.studies.tables import markdown
from model.config import Config
from model.config.overrides import override
from model.training.objective import PinClip
from model.training.optimizer import Optimizers, optimizer_for
from model.training.precision import Working
from model.training.sampling import Batch

STEPS, WARMUP, ALONE = 6, 2, 5
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "mkldnn_convolution", "convolution", "convolution_backward")
KINDS = {
    "matrix products": ("mm", "addmm", "bmm", "baddbmm", "linear", "mkldnn_linear", "addbmm"),
    "convolution": ("convolution", "mkldnn_convolution", "convolution_backward", "mkldnn_convolution_backward"),
    "softmax and mask": ("_softmax", "_softmax_backward_data", "_log_softmax", "masked_fill", "masked_fill_"),
    "GELU": ("gelu", "gelu_backward"),
    "LayerNorm": ("native_layer_norm", "native_layer_norm_backward"),
    "copies": ("copy_", "cat", "clone", "constant_pad_nd", "fill_", "zero_", "contiguous"),
    "gathers": ("index", "index_select", "index_put_", "_index_put_impl_", "embedding", "embedding_dense_backward"),
}


class Products(TorchDispatchMode):
    """Counts the products that run, by operation and by shape, layout and dtype of what they read."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[tuple[Any, tuple[Any, ...]]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in PRODUCTS and not kwargs:
            self.seen[func, tuple(_described(one) for one in args)] += 1
        return func(*args, **(kwargs or {}))


def _described(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return ("tensor", tuple(value.shape), tuple(value.stride()), value.dtype)
    return tuple(value) if isinstance(value, list) else value


def _made(described: Any) -> Any:
    if isinstance(described, tuple) and described[:1] == ("tensor",):
        _, shape, stride, dtype = described
        return torch.empty_strided(shape, stride, dtype=dtype).normal_()
    return list(described) if isinstance(described, tuple) else described


def parts_of(working: Working, optimizer: Optimizers, batch: Batch) -> dict[str, float]:
    """Seconds of each part, the median of STEPS steps (model/training/loop.py, train_step)."""
    told: dict[str, list[float]] = defaultdict(list)
    for _ in range(WARMUP + STEPS):
        optimizer.zero_grad()
        marks = [time.perf_counter()]
        loss = working.task(batch)["loss"]
        marks.append(time.perf_counter())
        loss.backward()
        marks.append(time.perf_counter())
        working.hand_over_gradients()
        torch.nn.utils.clip_grad_norm_(optimizer.parameters(), 1.0)
        marks.append(time.perf_counter())
        optimizer.step()
        marks.append(time.perf_counter())
        working.take_weights()
        marks.append(time.perf_counter())
        names = "forward and losses", "backward", "gradients to fp32, their norm", "optimizer", "weights to bf16"
        for name, seconds in zip(names, np.diff(marks), strict=True):
            told[name].append(seconds)
    return {name: float(np.median(seconds[WARMUP:])) for name, seconds in told.items()}


def operations(working: Working, batch: Batch) -> dict[str, tuple[float, int]]:
    """(share of the time of forward and backward, FLOPs) by kind."""
    with profile(activities=[ProfilerActivity.CPU], with_flops=True, record_shapes=True) as found:
        working.task(batch)["loss"].backward()
    seconds: dict[str, float] = defaultdict(float)
    flops: dict[str, int] = defaultdict(int)
    for event in found.key_averages():
        name = event.key.removeprefix("aten::")
        kind = next((kind for kind, names in KINDS.items() if name in names), "elementwise and the rest")
        seconds[kind] += event.self_cpu_time_total
        flops[kind] += event.flops
    total = sum(seconds.values())
    return {kind: (seconds[kind] / total, flops[kind]) for kind in sorted(seconds, key=seconds.get, reverse=True)}


def alone(working: Working, batch: Batch) -> float:
    """Seconds of all products of forward and backward, each alone in its own shape."""
    with Products() as products:
        working.task(batch)["loss"].backward()
    total = 0.0
    for (func, described), times in products.seen.items():
        values = [_made(one) for one in described]
        total += times * min(_seconds(lambda func=func, values=values: func(*values)))
    return total


def _seconds(work: Callable[[], Any]) -> Iterator[float]:
    for _ in range(ALONE):
        start = time.perf_counter()
        work()
        yield time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arm", default="hybrid", choices=[arm for arm in ARMS if arm != "compiled"])
    parser.add_argument("--full-texts", action="store_true", help="32 tokens a text, in place of 4 to 16")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    titles = np.random.default_rng(1).integers(4, 17, size=BATCH).tolist()
    batch = batch_of([CONTEXT] * BATCH if args.full_texts else titles)
    config = override(override(Config(), TOWERS), ARMS[args.arm])
    task = PinClip(config)
    working, optimizer = Working(task, torch.bfloat16), optimizer_for(task, config.train)
    optimizer.set_learning_rate(1e-3)
    with FlopCounterMode(display=False) as counter:
        working.task(batch)["loss"].backward()
    flops, peak = counter.get_total_flops(), peak_flops()
    parts = parts_of(working, optimizer, batch)
    step = sum(parts.values())
    print(markdown(["part", "ms", "share"], [[n, f"{s * 1e3:.0f}", f"{s / step:.1%}"] for n, s in parts.items()]))
    passes = parts["forward and losses"] + parts["backward"]
    rows = [
        [kind, f"{share:.1%}", f"{of / 1e9:.1f}" if of else "", f"{of / (share * passes) / 1e9:.0f}" if of else ""]
        for kind, (share, of) in operations(working, batch).items()
    ]
    print(markdown(["operations of forward and backward", "share of their time", "GFLOP", "GFLOP/s"], rows))
    limit, peak = alone(working, batch), max(peak, peak_flops())
    print(f"{args.arm}: {flops / 1e9:.1f} GFLOP a step, best bf16 product {peak / 1e9:.0f} GFLOP/s")
    print(f"utilization of the step: {flops / step / peak:.1%}; of forward and backward: {flops / passes / peak:.1%}")
    print(
        f"of its products alone, in their shapes: {flops / limit / peak:.1%} ({limit * 1e3:.0f} ms of {step * 1e3:.0f})"
    )


if __name__ == "__main__":
    main()
