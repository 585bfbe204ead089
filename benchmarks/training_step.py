"""The training step: images a second against open_clip's, and how close the arithmetic comes to the processor's limit.

    python benchmarks/training_step.py [--peer env/bin/python]        the environment of peers/open_clip_step.py

64 px, patch 8, width 192, 6 image and 4 text layers, batch 256, bf16, one image and one text a Pin, both sides. The
peer's step is measured before and after ours, so that a change of the machine's speed would show. Rows:
  plain    the same towers as the peer's, image–text alignment alone (sigmoid)
  hybrid   the same number of layers as a funnel (2, 2, 2)
  compiled the same with train.compile
  pinclip  the funnel with fusion and all three objectives: what training runs
Utilization is the FLOPs that torch counts in forward and backward over the seconds of the whole step, as a share of
the best bf16 matrix product of the same run.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from model.config import Config
from model.config.overrides import override
from model.network.text import pack_texts
from model.training.compute import prepare_blocks
from model.training.loop import train_step
from model.training.objective import PinClip
from model.training.optimizer import optimizer_for
from model.training.precision import Working
from model.training.sampling import ROLES, Batch

BATCH, STEPS, WARMUP, CONTEXT = 256, 8, 2, 32
PEER = {"image": 64, "patch": 8, "width": 192, "image_layers": 6, "text_layers": 4, "head_width": 64, "dim": 256,
        "context": CONTEXT, "vocabulary": 4096, "batch": BATCH, "steps": STEPS}  # fmt: skip
TOWERS = {
    "vision": {"image_size": 64, "patch": 8, "width": 192, "heads": 3, "depths": (2, 2, 2)},
    "text": {"width": 192, "layers": 4, "heads": 3, "context": CONTEXT},
    "fusion": {"heads": 3},
    "train": {"batch_size": BATCH, "precision": "bf16"},
}
ALIGN = {"neighbour": 0.0, "text_fused": 0.0, "image_texts": ("long",), "image_text_loss": "sigmoid"}
ARMS: dict[str, dict[str, Any]] = {
    "plain": {"vision": {"depths": (6,)}, "objective": ALIGN},
    "hybrid": {"objective": ALIGN},
    "compiled": {"objective": ALIGN, "train": {"compile": True}},
    "pinclip": {},
}


def batch_of(lengths: list[int]) -> Batch:
    """One image and one text a Pin; Pin i stands beside its neighbour i + B/2."""
    size, rng = len(lengths), np.random.default_rng(0)
    has_text = torch.from_numpy(rng.random(size) > 0.2)
    own = (2 * torch.eye(size, dtype=torch.int8) - 1).to(torch.int8)
    nothing = torch.zeros_like(own)
    labels = {"long": own, "short": nothing, "query": nothing, "neighbour": own.roll(size // 2, 1)}
    ids = [rng.integers(1, 4096, size=length).astype(np.int32) for length in lengths]
    return Batch(
        pixels_bSS3=torch.from_numpy(rng.integers(0, 256, (size, 64, 64, 3), dtype=np.uint8)),
        kept_bLH=None,
        texts=pack_texts(ids, [0] * size),
        owner_N=torch.arange(size),
        slot={role: torch.arange(size) if role == "long" else torch.full((size,), -1) for role in ROLES},
        labels=labels,
        labels_back={name: matches.T for name, matches in labels.items()},
        shown=frozenset({"long"}),
        has_image_b=torch.ones(size, dtype=torch.bool),
        has_text_b=has_text,
        has_text_B=has_text,
        anchor_bE=None,
    )


def ours(changes: dict[str, Any], batch: Batch) -> tuple[float, int, int]:
    """(seconds of a step, FLOPs of forward and backward, parameters)."""
    config = override(override(Config(), TOWERS), changes)
    task = PinClip(config)
    working, optimizer = Working(task, torch.bfloat16), optimizer_for(task, config.train)
    with FlopCounterMode(display=False) as counter:
        working.task(batch)["loss"].backward()
    prepare_blocks(working.task, config.train)
    optimizer.set_learning_rate(1e-3)
    seconds = list(_timed(STEPS, lambda: train_step(working.task, working, optimizer, batch)))
    return float(np.median(seconds)), counter.get_total_flops(), sum(p.numel() for p in optimizer.parameters())


def _timed(runs: int, work: Any) -> Iterator[float]:
    for run in range(WARMUP + runs):
        start = time.perf_counter()
        work()
        if run >= WARMUP:
            yield time.perf_counter() - start


def theirs(python: Path, lengths: list[int], threads: int) -> tuple[float, int]:
    setting = json.dumps(PEER | {"lengths": lengths, "threads": threads, "steps": STEPS + WARMUP})
    script = Path(__file__).parent / "peers" / "open_clip_step.py"
    done = subprocess.run([python, script], input=setting, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return float(np.median(result["seconds"][WARMUP:])), result["parameters"]


def peak_flops() -> float:
    """FLOP/s of the best bf16 matrix product among a few shapes."""
    best = 0.0
    for side in (1024, 2048, 4096):
        a, b = (torch.randn(side, side, dtype=torch.bfloat16) for _ in range(2))
        best = max(best, *(2 * side**3 / seconds for seconds in _timed(4, lambda a=a, b=b: a @ b)))
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    short = np.random.default_rng(1).integers(4, 17, size=BATCH).tolist()  # titles and tags: 4 to 16 tokens
    for name, lengths in (("4 to 16 tokens a text", short), ("every text full, 32 tokens", [CONTEXT] * BATCH)):
        report(name, lengths, arguments.peer, arguments.threads)


def report(name: str, lengths: list[int], peer: Path | None, threads: int) -> None:
    peak, batch = peak_flops(), batch_of(lengths)
    before = theirs(peer, lengths, threads) if peer else None
    rows = {arm: ours(changes, batch) for arm, changes in ARMS.items()}
    after = theirs(peer, lengths, threads) if peer else None
    peak = max(peak, peak_flops())
    print(f"\n{name}; bf16 matrix products reach {peak / 1e9:.0f} GFLOP/s on {threads} threads")
    print(f"{'':10} {'images/s':>9} {'parameters':>11} {'utilization':>12} {'against open_clip':>18}")
    rate = 0.0
    if before and after:
        rate = BATCH / min(before[0], after[0])
        twice = f"(before {BATCH / before[0]:.0f}, after {BATCH / after[0]:.0f})"
        print(f"{'open_clip':10} {rate:>9.0f} {before[1]:>11,}   {twice}")
    for arm, (seconds, flops, parameters) in rows.items():
        against = f"{BATCH / seconds / rate:.2f}x" if rate else ""
        print(f"{arm:10} {BATCH / seconds:>9.0f} {parameters:>11,} {flops / seconds / peak:>12.1%} {against:>18}")


if __name__ == "__main__":
    main()
