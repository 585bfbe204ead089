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

from feature_reads import redis_server
from measure import peak_bytes
from ranking_home import own_version

from components.settings import Settings
from components.spaces.config import PromotionConfig
from components.spaces.index import bring_index_up
from components.spaces.paths import state_folder
from components.spaces.publish import publish
from components.studies.tables import markdown
from model.config import Config, load
from model.data import preparation
from model.data.catalogue import Catalogue
from model.embedding import embedder, quantization
from model.files import write_json
from model.graph import neighbourhood
from model.sources.synthetic.generate import SyntheticConfig, generate
from model.training import loop
from serving.space import published_manifests

PINS_PER_BOARD = 5


class Steps:
    """Each method is a step and returns what it wrote and figures of its own."""

    def __init__(self, folder: Path, pins: int, image_size: int, config: Config, steps: int) -> None:
        self.folder, self.config, self.steps = folder, config, steps
        self.synthetic = SyntheticConfig(pins=pins, boards=pins // PINS_PER_BOARD, image_size=image_size)
        self.prepared, self.neighbours_folder = folder / "prepared", folder / "neighbours"
        self.model, self.vectors, self.quantized = folder / "model", folder / "vectors", folder / "quantized"
        self.settings = Settings(home=folder / "home", mlflow_uri=f"sqlite:///{folder}/mlflow.db", redis="")

    def generate(self) -> tuple[Path, dict[str, float]]:
        counts = generate(self.synthetic, self.folder / "catalogue")
        return self.folder / "catalogue", {name: counts[name] for name in ("boards", "edges", "queries", "clicked")}

    def prepare(self) -> tuple[Path, dict[str, float]]:
        source, size = Catalogue(self.folder / "catalogue"), self.config.vision.image_size
        preparation.prepare(source, self.prepared, self.config.prepare, image_size=size)
        return self.prepared, {}

    def neighbours(self) -> tuple[Path, dict[str, float]]:
        stats = neighbourhood.build(self.prepared, self.neighbours_folder, self.config)
        return self.neighbours_folder, {name: stats[name] for name in ("edges", "neighbour_pairs")}

    def train(self) -> tuple[Path, dict[str, float]]:
        loop.steps_per_epoch = lambda *_: self.steps  # of the epochs' length no figure here depends
        loop.fit(self.prepared, self.neighbours_folder, self.model, self.config, lambda point: None)
        return self.model, {"steps": self.steps}

    def embed(self) -> tuple[Path, dict[str, float]]:
        embedder.embed(self.prepared, self.model, self.vectors, held_out=True)
        return self.vectors, {}

    def quantize(self) -> tuple[Path, dict[str, float]]:
        training = neighbourhood.read_training(self.neighbours_folder)
        quantization.quantize(self.vectors, training, self.quantized, self.config)
        return self.quantized, {}

    def publish(self) -> tuple[Path, dict[str, float]]:
        shutil.rmtree(self.settings.home, ignore_errors=True)
        (self.folder / "mlflow.db").unlink(missing_ok=True)
        self.settings.home.mkdir()
        with redis_server(self.folder) as redis:
            address = f"127.0.0.1:{redis.connection_pool.connection_kwargs['port']}"
            settings = self.settings.model_copy(update={"redis": address})
            publish(self.quantized, self.prepared, own_version(settings), {}, settings)
            memory = redis.info("memory")["used_memory"]
        return self.settings.home, {"redis_bytes": memory}

    def index(self) -> tuple[Path, dict[str, float]]:
        (space,) = published_manifests(self.settings.home / "feast")
        recall = bring_index_up(space, PromotionConfig(), self.settings)
        return state_folder(space.name, self.settings), {"recall": recall}


STEPS = ("generate", "prepare", "neighbours", "train", "embed", "quantize", "publish", "index")


def measured(step: Callable[[], tuple[Path, dict[str, float]]], pins: int) -> dict[str, float]:
    start = time.perf_counter()
    out, figures = step()
    seconds = time.perf_counter() - start
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    written = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return {
        "seconds": seconds,
        "cpu_seconds": sum(usage.ru_utime + usage.ru_stime for usage in usages),
        "peak_bytes": peak_bytes(),
        "bytes_a_pin": written / pins,
        **figures,
    }


def table(folder: Path, pins: int) -> str:
    rows = []
    for step in STEPS:
        if (file := folder / f"{step}.json").is_file():
            one = json.loads(file.read_text(encoding="utf-8"))
            known = ("seconds", "cpu_seconds", "peak_bytes", "bytes_a_pin")
            rest = ", ".join(f"{name} {value:,.6g}" for name, value in one.items() if name not in known)
            figures = [f"{one['seconds']:,.1f}", f"{one['cpu_seconds']:,.1f}", f"{one['peak_bytes'] / 2**20:,.0f} MiB"]
            rows.append([step, *figures, f"{one['bytes_a_pin']:,.0f}", rest])
    return markdown([f"{pins:,} Pins", "seconds", "CPU seconds", "peak memory", "bytes a Pin", ""], rows)


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
        config = load(args.profile, [*args.overrides, "train.epochs=1"])
        steps = Steps(folder, args.pins, args.image_size, config, args.steps)
        write_json(folder / f"{args.step}.json", measured(getattr(steps, args.step), args.pins))
        return
    folder.mkdir(parents=True, exist_ok=True)
    for step in STEPS:
        if step in args.only and not (folder / f"{step}.json").is_file():
            subprocess.run([sys.executable, *sys.argv, "--step", step], check=True)
    print(table(folder, args.pins))


if __name__ == "__main__":
    main()
