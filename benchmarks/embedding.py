"""Every Pin from Parquet bytes to quantized shards: images/s, and the share of the time outside the forward pass.

    python benchmarks/embedding.py --folder /tmp/memory/10000

Decodes, embeds and quantizes the prepared catalogue in --folder (benchmarks/memory.py makes one) as the pipeline does,
with the network of --profile, or with --towers that of benchmarks/training_step.py (64 px, width 192, 6 image and 4
text layers), and untrained weights: what they are costs no time. Seconds are those of the wall, so the machine should
be idle; core seconds stand beside them.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training_step import TOWERS

from model.config import Config, load
from model.config.overrides import override
from model.data import pixels
from model.data.catalogue import TEXT_SIGNALS, Catalogue, joined_texts
from model.embedding import embedder, quantization
from model.graph.neighbourhood import read_training
from model.network.checkpoint import save_model
from model.network.encoder import PinEncoder
from model.network.text import train_tokenizer

FORWARD = ("kept_images", "encode_images", "encode_texts", "fuse")


class Clock:
    """Wall and core seconds by name."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.cores: dict[str, float] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        wall, cores = time.perf_counter(), time.process_time()
        yield
        self.wall[name] = self.wall.get(name, 0.0) + time.perf_counter() - wall
        self.cores[name] = self.cores.get(name, 0.0) + time.process_time() - cores

    def watch(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.of(name):
                return method(*args, **kwargs)

        return timed


def untrained(catalogue: Catalogue, config: Config, out: Path) -> None:
    """A model folder as a training would leave it."""
    texts = joined_texts(catalogue.read("pins", [TEXT_SIGNALS[0]])[TEXT_SIGNALS[0]].to_pylist())
    save_model(out, PinEncoder(config), train_tokenizer(texts, config.text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/memory/10000"), help="prepared/ and neighbours/")
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--towers", action="store_true", help="the network of benchmarks/training_step.py")
    args = parser.parse_args()
    config, clock = load(args.profile), Clock()
    config = override(config, TOWERS) if args.towers else config
    catalogue = Catalogue(args.folder / "prepared" / "catalogue")
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        work = Path(scratch)
        (work / "prepared").mkdir()
        (work / "prepared" / "catalogue").symlink_to(catalogue.root.absolute())
        untrained(catalogue, config, work / "model")
        for name in FORWARD:
            setattr(PinEncoder, name, clock.watch(getattr(PinEncoder, name), "forward"))
        with clock.of("decode"):
            pixels.decode_catalogue(
                catalogue, config.vision.image_size, config.prepare, work / "prepared" / "pixels.u8"
            )
        with clock.of("embed"):
            pins = embedder.embed(work / "prepared", work / "model", work / "vectors")
        with clock.of("quantize"):
            quantization.quantize(
                work / "vectors", read_training(args.folder / "neighbours"), work / "quantized", config
            )
    show(clock, pins)


def show(clock: Clock, pins: int) -> None:
    for name in clock.wall:
        print(f"{name:<10}{clock.wall[name]:8.1f} s{clock.cores[name]:8.1f} core seconds")
    wall, cores = (sum(seconds[n] for n in ("decode", "embed", "quantize")) for seconds in (clock.wall, clock.cores))
    print(f"{pins:,} Pins, {pins / wall:.0f} images/s, {pins / cores:.0f} a core second, {os.cpu_count()} cores")
    print(f"outside the forward pass: {1 - clock.wall['forward'] / wall:.0%} of the time, "
          f"{1 - clock.cores['forward'] / cores:.0%} of the core seconds")  # fmt: skip


if __name__ == "__main__":
    main()
