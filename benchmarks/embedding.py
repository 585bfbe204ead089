"""Every Pin from Parquet bytes to quantized shards: images/s, and the share of the time outside the forward pass.

    python benchmarks/embedding.py --folder /tmp/memory/10000 --against ../earlier --rounds 3

Decodes, embeds and quantizes the prepared catalogue in --folder as the pipeline does. benchmarks/memory.py makes one,
or benchmarks/million.py --pins 10000 --only generate prepare neighbours; of a few thousand Pins loading is most. The
network is that of --profile, or with --towers that of benchmarks/training_step.py (64 px, width 192, 6 image and 4 text
layers), with untrained weights: what they are costs no time. Seconds are those of the wall, so the machine should be
idle; core seconds stand beside them. Passes run side by side: `forward` is the time in which any does.

Each measurement is a process of its own, with --against in turns with that of an earlier checkout; of --rounds the one
with the fewest core seconds counts. What both wrote is compared.
"""

import argparse
import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from training_step import TOWERS

from model.config import Config, load
from model.config.overrides import override
from model.data import pixels
from model.data.catalogue import TEXT_SIGNALS, Catalogue, joined_texts
from model.embedding import embedder, quantization
from model.embedding.stored import read_vectors
from model.graph.neighbourhood import read_training
from model.network.checkpoint import save_model
from model.network.encoder import PinEncoder
from model.network.text import train_tokenizer

FORWARD = ("kept_images", "encode_images", "encode_texts", "fuse")
STEPS = ("decode", "embed", "quantize")
HERE = Path(__file__).resolve().parents[1]


class Clock:
    """Wall and core seconds by name."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cores: dict[str, float] = {}
        self.inside, self.lock = 0, Lock()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        wall, cores = time.perf_counter(), time.process_time()
        yield
        self.add(name, time.perf_counter() - wall, time.process_time() - cores)

    def add(self, name: str, wall: float, cores: float) -> None:
        self.wall[name] = self.wall.get(name, 0.0) + wall
        self.cores[name] = self.cores.get(name, 0.0) + cores

    @contextmanager
    def forward(self) -> Iterator[None]:
        """Of several threads: their core seconds, and the time in which any of them is inside."""
        own = time.thread_time if torch.get_num_threads() == 1 else time.process_time
        cores = own()
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.entered = time.perf_counter()
        yield
        with self.lock:
            self.inside -= 1
            self.add("forward", 0.0 if self.inside else time.perf_counter() - self.entered, own() - cores)

    def watch(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.forward():
                return method(*args, **kwargs)

        return timed


def untrained(catalogue: Catalogue, config: Config, out: Path) -> None:
    """A model folder as a training would leave it."""
    torch.manual_seed(0)
    texts = joined_texts(catalogue.read("pins", [TEXT_SIGNALS[0]])[TEXT_SIGNALS[0]].to_pylist())
    save_model(out, PinEncoder(config), train_tokenizer(texts, config.text))


def measured(folder: Path, work: Path, config: Config) -> dict[str, Any]:
    """Pins and seconds, with the library that this process imported; leaves vectors/ and quantized/ in `work`."""
    clock, catalogue, prepared = Clock(), Catalogue(folder / "prepared" / "catalogue"), work / "prepared"
    prepared.mkdir(parents=True)
    (prepared / "catalogue").symlink_to(catalogue.root.absolute())
    untrained(catalogue, config, work / "model")
    for name in FORWARD:
        setattr(PinEncoder, name, clock.watch(getattr(PinEncoder, name)))
    with clock.of("decode"):
        pixels.decode_catalogue(catalogue, config.vision.image_size, config.prepare, prepared / "pixels.u8")
    with clock.of("embed"):
        pins = embedder.embed(prepared, work / "model", work / "vectors")
    with clock.of("quantize"):
        quantization.quantize(work / "vectors", read_training(folder / "neighbours"), work / "quantized", config)
    return {"pins": pins, "wall": clock.wall, "cores": clock.cores}


def in_a_process(checkout: Path, work: Path) -> dict[str, Any]:
    """The figures of a process with the library of a checkout, shown."""
    command = [sys.executable, __file__, *sys.argv[1:], "--measure", str(work)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(command, cwd=checkout, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def total(seconds: dict[str, float]) -> float:
    return sum(seconds[step] for step in STEPS)


def show(figures: dict[str, Any]) -> None:
    pins, wall, cores = (figures[name] for name in ("pins", "wall", "cores"))
    for name in wall:
        print(f"{name:<10}{wall[name]:8.1f} s{cores[name]:8.1f} core seconds")
    print(f"{pins:,} Pins, {pins / total(wall):.0f} images/s, {pins / total(cores):.0f} a core second, "
          f"{os.cpu_count()} cores")  # fmt: skip
    print(f"outside the forward pass: {1 - wall['forward'] / total(wall):.0%} of the time, "
          f"{1 - cores['forward'] / total(cores):.0%} of the core seconds", flush=True)  # fmt: skip


def compare(this: Path, earlier: Path) -> None:
    for name in ("pin", "image", "text"):
        ours, theirs = (read_vectors(work / "vectors", name) for work in (this, earlier))
        print(f"{name:<6}{np.abs(ours - theirs).max():.1e} the largest difference of a number of {ours.size:,}")
    ours, theirs = (quantization.read_codes(work / "quantized") for work in (this, earlier))
    pixels_same = filecmp.cmp(*(work / "prepared" / "pixels.u8" for work in (this, earlier)), shallow=False)
    print(f"codes {np.count_nonzero(ours != theirs):,} of {ours.size:,} differ, "
          f"{'no' if pixels_same else 'some'} pixels do")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/memory/10000"), help="prepared/ and neighbours/")
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--towers", action="store_true", help="the network of benchmarks/training_step.py")
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        config = load(args.profile)
        config = override(config, TOWERS) if args.towers else config
        print(json.dumps(measured(args.folder, args.measure, config)))
        return
    checkouts = {"this": HERE, **({"earlier": args.against.resolve()} if args.against else {})}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        for number in range(args.rounds):
            for name, checkout in checkouts.items():
                runs[name].append(in_a_process(checkout, Path(scratch) / f"{name}-{number}"))
        best = {name: min(some, key=lambda figures: total(figures["cores"])) for name, some in runs.items()}
        for name, figures in best.items():
            print(f"-- {name}")
            show(figures)
        if args.against:
            wall, cores = (total(best["earlier"][kind]) / total(best["this"][kind]) for kind in ("wall", "cores"))
            print(f"-- this is {wall:.2f}x as fast as earlier, and takes {1 / cores:.2f}x its core seconds")
            compare(*(Path(scratch) / f"{name}-0" for name in checkouts))


if __name__ == "__main__":
    main()
