"""Peak memory of train, embed and evaluate against the number of Pins.

    python benchmarks/memory.py --pins 10000 100000 --profile demo --folder /tmp/memory

Generates a catalogue of each size under --folder (what is there is used again), runs every step in a process of its
own and prints its peak resident memory and the ratio to the smallest catalogue. Training makes as many steps at every
size, one epoch at the largest: the peak is that of the step with most text, which more steps find. The same vectors
stand for PinCLIP and for the baseline.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from measure import peak_bytes

from model.config import Config, load
from model.data import preparation
from model.data.catalogue import Catalogue
from model.embedding import embedder, quantization
from model.evaluation import evaluate
from model.graph import neighbourhood
from model.sources.synthetic.generate import SyntheticConfig, generate
from model.training import loop

PINS_PER_BOARD = 5
STEPS = ("generate", "prepare", "neighbours", "train", "embed", "quantize", "evaluate")
MEASURED = STEPS[3:]


def run(step: str, pins: int, folder: Path, config: Config) -> None:
    """One step of the pipeline on the catalogue in `folder`."""
    prepared, neighbours, model, vectors, quantized = (
        folder / name for name in ("prepared", "neighbours", "model", "vectors", "quantized")
    )
    match step:
        case "generate":
            generate(SyntheticConfig(pins=pins, boards=pins // PINS_PER_BOARD), folder / "catalogue")
        case "prepare":
            preparation.prepare(
                Catalogue(folder / "catalogue"), prepared, config.prepare, image_size=config.vision.image_size
            )
        case "neighbours":
            neighbourhood.build(prepared, neighbours, config)
        case "train":
            loop.fit(prepared, neighbours, model, config, lambda point: None)
        case "embed":
            embedder.embed(prepared, model, vectors)
        case "quantize":
            quantization.quantize(vectors, neighbourhood.read_training(neighbours), quantized, config)
        case "evaluate":
            evaluate.evaluate(prepared, neighbours, model, vectors, vectors, quantized, folder / "evaluation", config)


def measured(step: str, pins: int, args: argparse.Namespace) -> int:
    """Peak bytes of one step in a process of its own."""
    command = [sys.executable, __file__, "--pins", str(pins), "--profile", args.profile, "--folder", str(args.folder)]
    command += ["--epochs", str(max(args.pins) // pins)]
    start = time.perf_counter()
    output = subprocess.run([*command, "--step", step], check=True, capture_output=True, text=True).stdout
    print(
        f"{pins:>9,} Pins  {step:<10} {int(output) / 2**20:8.0f} MiB {time.perf_counter() - start:8.1f} s", flush=True
    )
    return int(output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pins", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/memory"))
    parser.add_argument(
        "--again", nargs="*", choices=STEPS, default=list(MEASURED), help="measured even if done before"
    )
    parser.add_argument("--epochs", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--step", choices=STEPS, help="run this one step here and print its peak in bytes")
    args = parser.parse_args()
    if args.step:
        config = load(args.profile, [f"train.epochs={args.epochs}"])
        run(args.step, args.pins[0], args.folder / str(args.pins[0]), config)
        print(peak_bytes())
        return
    outputs = {"generate": "catalogue", "prepare": "prepared/pixels.u8", "train": "model", "embed": "vectors"}
    peaks: dict[str, list[int]] = {}
    for pins in args.pins:
        for step in STEPS:
            made = (
                args.folder
                / str(pins)
                / outputs.get(step, {"quantize": "quantized", "evaluate": "evaluation"}.get(step, step))
            )
            if step in args.again or not made.exists():
                peaks.setdefault(step, []).append(measured(step, pins, args))
    for step in MEASURED:
        if len(peaks.get(step, [])) == len(args.pins):
            print(f"{step:<10} {peaks[step][-1] / peaks[step][0]:.2f}x")


if __name__ == "__main__":
    main()
