"""Seconds and peak memory of `evaluate` against the number of Pins, an earlier checkout beside it in the same run.

    python benchmarks/evaluating.py --pins 9261 --against ../earlier --rounds 3
    python benchmarks/evaluating.py --pins 3000 30000 100000 300000

What evaluation costs depends on how many Pins, queries and codes there are, not on what a training found: the run is
drawn (drawn_run.py). A folder of one size under --folder is used again, and so is a real run's that was put there.

Every evaluation is a process of its own: its seconds, the CPU seconds of all its threads, its peak resident memory.
`products` is the CPU time of the bare matrix products: every query with every candidate once for each column of the
figures and each code of the study, which no exact search can do without; what codes are calibrated by is left out.
With --against the checkouts take turns, and the four files that they write must be the same, byte for byte.
"""

import argparse
import filecmp
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from drawn_run import build
from measure import peak_bytes
from threadpoolctl import threadpool_limits

from model.config import Config, load
from model.embedding.codes import NAMES
from model.embedding.stored import read_words
from model.evaluation.evaluate import SCOPES, evaluate
from model.evaluation.questions import questions, sampled
from model.evaluation.tasks import evaluation_scope

FILES = ("metrics.json", "examples.json", "slices.json", "quantization_study.json")
HERE = Path(__file__).resolve().parents[1]
COLUMNS = {"pin": 1 + 3 + 1, "other": 1 + 1 + 1}  # ours, the baseline's, ours quantized


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu_seconds: float
    peak_bytes: int

    @property
    def text(self) -> str:
        return f"{self.seconds:8.1f} s {self.cpu_seconds:8.1f} CPU s {self.peak_bytes / 2**20:8.0f} MiB"


def evaluated(folder: Path, out: Path, config: Config) -> Cost:
    """Evaluates in this process, with the library that it imported."""
    names = ("prepared", "neighbours", "model", "vectors", "vectors", "quantized")
    start, before = time.perf_counter(), time.process_time()
    evaluate(*(folder / name for name in names), out, config)
    return Cost(time.perf_counter() - start, time.process_time() - before, peak_bytes())


def in_a_process(checkout: Path, folder: Path, out: Path, args: argparse.Namespace) -> Cost:
    command = [sys.executable, __file__, "--evaluate", str(folder), str(out), "--profile", args.profile]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def product_seconds(folder: Path, config: Config) -> float:
    """CPU seconds on one thread of the products of all searches, 256 queries with 4,096 candidates at a time."""
    words, shapes = read_words(folder / "vectors"), Counter()
    for scope in (evaluation_scope(folder / "prepared", folder / "neighbours", name == "fresh") for name in SCOPES):
        for one in questions(scope, words, config).values():
            columns = COLUMNS["pin" if "pin" in (one.asks, one.answers) else "other"]
            shapes[len(one.asking), len(one.candidates), config.fusion.dim] += columns
        for one in questions(sampled(scope, config.quantization.study_pins, config.seed), words, config).values():
            for prefix in config.fusion.prefixes:
                shapes[len(one.asking), len(one.candidates), prefix] += len(NAMES)
    return sum(times * _product(*shape) for shape, times in shapes.items())


def _product(queries: int, candidates: int, dim: int) -> float:
    asking_QE, candidates_NE = (np.ones((rows, dim), np.float32) for rows in (queries, min(candidates, 4096)))
    with threadpool_limits(1, user_api="blas"):
        start = time.process_time()
        for first in range(0, queries, 256):
            _ = asking_QE[first : first + 256] @ candidates_NE.T
        return (time.process_time() - start) * candidates / len(candidates_NE)


def measure(pins: int, args: argparse.Namespace, config: Config) -> None:
    folder = args.folder / str(pins)
    if not folder.is_dir():
        build(pins, folder, config)
    checkouts = {"this": HERE, **({"earlier": args.against.resolve()} if args.against else {})}
    costs: dict[str, list[Cost]] = {name: [] for name in checkouts}
    for _ in range(args.rounds):
        for name, checkout in checkouts.items():
            costs[name].append(in_a_process(checkout, folder, args.folder / f"{pins}-{name}", args))
            print(f"{pins:>9,} Pins  {name:<8} {costs[name][-1].text}", flush=True)
    bare = product_seconds(folder, config)
    cpu = {name: statistics.median(cost.cpu_seconds for cost in some) for name, some in costs.items()}
    print(f"{pins:>9,} Pins  products {bare:8.1f} CPU s: evaluate takes {cpu['this'] / bare:.2f}x", flush=True)
    if args.against:
        _, unlike, missing = filecmp.cmpfiles(*(args.folder / f"{pins}-{name}" for name in checkouts), FILES, False)
        same = f"other files: {', '.join(unlike + missing)}" if unlike or missing else "the same four files"
        print(f"{pins:>9,} Pins  {cpu['earlier'] / cpu['this']:.2f}x fewer CPU s than earlier, {same}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pins", type=int, nargs="+", default=[9_261])
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/evaluating"))
    parser.add_argument("--against", type=Path, help="another checkout of this project, evaluated by its own code")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--evaluate", type=Path, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    config = load(args.profile)
    if args.evaluate:
        print(json.dumps(asdict(evaluated(*args.evaluate, config))))
        return
    for pins in args.pins:
        measure(pins, args, config)


if __name__ == "__main__":
    main()
