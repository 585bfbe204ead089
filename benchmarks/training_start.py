"""What a training pays before its first step and after its last one.

    python benchmarks/training_start.py --against ../earlier

Each training is a process of its own with the profile `smoke` on generated Pins, in turns with that of an earlier
checkout; the least of --rounds counts. Seconds are those of the clock, so the machine must be idle.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from model.config import load
from model.data.catalogue import Catalogue
from model.data.preparation import prepare
from model.graph.neighbourhood import build
from model.sources.synthetic.generate import SyntheticConfig, generate

PINS = 1_000
HERE = Path(__file__).resolve().parents[1]
# Arguments: the folder of the data, the number of workers. Each step appends its time to the file `steps`.
TRAINING = """
import sys
import time
from pathlib import Path

from components.ray.training import train
from model.config import load

folder, workers = Path(sys.argv[1]), sys.argv[2]
steps = folder.absolute() / "steps"

def report(point):
    with steps.open("a") as file:
        print(time.time(), file=file)

config = load("smoke", ("train.epochs=1", f"train.workers={workers}"))
train(folder / "prepared", folder / "neighbours", folder / "model", config, report)
"""


def data(folder: Path) -> None:
    """A generated catalogue, prepared and walked."""
    config = load("smoke")
    generate(SyntheticConfig(PINS, PINS // 5), folder / "catalogue")
    prepare(Catalogue(folder / "catalogue"), folder / "prepared", config.prepare, image_size=config.vision.image_size)
    build(folder / "prepared", folder / "neighbours", config)


def seconds(folder: Path, workers: int, checkout: Path) -> tuple[float, float]:
    """(until the first step, after the last)"""
    steps = folder / "steps"
    steps.unlink(missing_ok=True)
    start = time.time()
    subprocess.run(
        [sys.executable, "-c", TRAINING, str(folder), str(workers)],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        check=True,
    )
    end = time.time()
    times = [float(line) for line in steps.read_text(encoding="ascii").split()]
    return times[0] - start, end - times[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    checkouts = {"": HERE} | ({", earlier": args.against.resolve()} if args.against else {})
    print("| | first step after | end after the last |")
    print("| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        data(folder)
        for workers in args.workers:
            rounds = [
                [seconds(folder, workers, checkout) for checkout in checkouts.values()] for _ in range(args.rounds)
            ]
            for name, taken in zip(checkouts, zip(*rounds, strict=True), strict=True):
                first, last = (min(column) for column in zip(*taken, strict=True))
                print(f"| {workers} worker{'s' * (workers > 1)}{name} | {first:.1f} s | {last:.1f} s |")


if __name__ == "__main__":
    main()
