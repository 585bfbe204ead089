"""The pipeline at a size of your choice: what each step takes, from the generated catalogue to Redis and the index.

    python benchmarks/million.py --pins 1000000 --folder /tmp/million

Every step runs in a process of its own and leaves its figures beside its output, in <folder>/<pins>/<step>.json. A step
whose figures are there is not repeated: remove the file to repeat it. Prints a table of all steps done: seconds and CPU
seconds of the process and its children, the most memory that the process alone held, and the bytes that it wrote, a
Pin. The network is that of --profile, trained for --steps steps on all training Pins; publishing writes into a
redis-server of its own, whose memory stands beside.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from measure import peak_bytes

from components.settings import Settings
from model.config import Config, load
from model.data.catalogue import Catalogue
from model.files import write_json

PINS_PER_BOARD = 5
Step = tuple[Path, dict[str, float]]


class Steps:
    """Each method is a step and returns what it wrote and figures of its own. It imports what it needs, no step the
    others' megabytes."""

    def __init__(self, folder: Path, args: argparse.Namespace, config: Config) -> None:
        self.folder, self.args, self.config = folder, args, config
        self.prepared, self.around = folder / "prepared", folder / "neighbours"
        self.model, self.vectors, self.quantized = folder / "model", folder / "vectors", folder / "quantized"
        self.home = folder / "home"

    def generate(self) -> Step:
        from model.sources.synthetic.generate import SyntheticConfig, generate

        pins, out = self.args.pins, self.folder / "catalogue"
        counts = generate(SyntheticConfig(pins, pins // PINS_PER_BOARD, image_size=self.args.image_size), out)
        return out, {name: counts[name] for name in ("boards", "edges", "queries", "clicked")}

    def prepare(self) -> Step:
        from model.data.preparation import prepare

        size = self.config.vision.image_size
        summary = prepare(Catalogue(self.folder / "catalogue"), self.prepared, self.config.prepare, image_size=size)
        return self.prepared, {"kept": summary["pins"]["kept"]}

    def neighbours(self) -> Step:
        from model.graph.neighbourhood import build

        stats = build(self.prepared, self.around, self.config)
        return self.around, {name: stats[name] for name in ("edges", "neighbour_pairs")}

    def train(self) -> Step:
        from model.training import loop

        loop.steps_per_epoch = lambda *_: self.args.steps  # where the loop ends; the batches are those of whole epochs
        loop.fit(self.prepared, self.around, self.model, self.config, lambda point: None)
        return self.model, {"steps": self.args.steps}

    def embed(self) -> Step:
        from model.embedding.embedder import embed

        embed(self.prepared, self.model, self.vectors, held_out=True)
        return self.vectors, {}

    def quantize(self) -> Step:
        from model.embedding.quantization import quantize
        from model.graph.neighbourhood import read_training

        quantize(self.vectors, read_training(self.around), self.quantized, self.config)
        return self.quantized, {}

    def publish(self) -> Step:
        from feature_reads import redis_server
        from ranking_home import own_version

        from components.spaces.publish import publish

        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        with redis_server(self.folder) as redis:
            settings = self._settings(f"127.0.0.1:{redis.connection_pool.connection_kwargs['port']}")
            publish(self.quantized, self.prepared, own_version(settings), {}, settings)
            held = redis.info("memory")["used_memory"] / self.args.pins
        return self.home, {"bytes a Pin in Redis": held}

    def index(self) -> Step:
        from components.spaces.config import PromotionConfig
        from components.spaces.index import bring_index_up
        from components.spaces.paths import state_folder
        from serving.index import PinIndex
        from serving.space import published_manifests

        (space,) = published_manifests(self.home / "feast")
        folder = state_folder(space.name, self._settings())
        recall = bring_index_up(space, PromotionConfig(), self._settings())
        return folder / "index", {
            "lower recall of Pins and words": recall,
            "effort": PinIndex.open(folder / "index", space.name).config.effort,
        }

    def _settings(self, redis: str = "") -> Settings:
        return Settings(home=self.home, mlflow_uri=f"sqlite:///{self.home}/mlflow.db", redis=redis)


STEPS = ("generate", "prepare", "neighbours", "train", "embed", "quantize", "publish", "index")


def measured(step: Callable[[], Step], pins: int) -> dict[str, float]:
    wall, cpu = time.perf_counter(), cpu_seconds()
    out, figures = step()
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    written = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    taken = {"seconds": wall, "cpu_seconds": cpu, "peak_bytes": peak_bytes(), "bytes_a_pin": written / pins}
    return taken | figures


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def show(folder: Path, pins: int) -> None:
    """The table in Markdown."""
    print(f"| {pins:,} Pins | seconds | CPU seconds | peak memory | bytes a Pin | |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for step in STEPS:
        if (file := folder / f"{step}.json").is_file():
            one = json.loads(file.read_text(encoding="utf-8"))
            wall, cpu, peak, written = (
                one.pop(name) for name in ("seconds", "cpu_seconds", "peak_bytes", "bytes_a_pin")
            )
            rest = ", ".join(f"{name} {value:,.6g}" for name, value in one.items())
            print(f"| {step} | {wall:,.1f} | {cpu:,.1f} | {peak / 2**20:,.0f} MiB | {written:,.0f} | {rest} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pins", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/million"))
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--image-size", type=int, default=64, help="pixels a side of the generated pictures")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="section.key=value")
    parser.add_argument("--steps", type=int, default=300, help="of the training")
    parser.add_argument("--only", choices=STEPS, nargs="*", default=STEPS, help="steps to run, where they are not done")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)  # this one, in this process
    args = parser.parse_args()
    folder = (args.folder / str(args.pins)).absolute()
    if args.step:
        steps = Steps(folder, args, load(args.profile, [*args.overrides, "train.epochs=1"]))
        write_json(folder / f"{args.step}.json", measured(getattr(steps, args.step), args.pins))
        return
    folder.mkdir(parents=True, exist_ok=True)
    for step in STEPS:
        if step in args.only and not (folder / f"{step}.json").is_file():
            subprocess.run([sys.executable, *sys.argv, "--step", step], check=True)
    show(folder, args.pins)


if __name__ == "__main__":
    main()
