"""What frozen towers take: images/s and texts/s of the extract step beside plain torch, bytes kept, a second pass.

    python benchmarks/extracting.py --prepared runs/latest/prepared

The tables: blocks of the catalogue's decoded images, and of its texts, pass each way in turn, so that other work on the
machine disturbs all alike; medians of the turns. The step sorts the texts by length and packs several to a row, in
plain torch they stand in their own order, padded to the longest of the block. Then the whole step, decoding included,
into an empty store and again into the filled one.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from model.config import Config, load
from model.data.catalogue import Catalogue
from model.data.images.decoding import to_pixels
from model.extraction.extract import catalogue_texts, extract
from model.extraction.records import BF16, KEY
from model.extraction.runtime import BLOCK, PooledMap, image_runner, sentence_runner
from model.network.text import encode_texts
from model.network.towers.opening import open_tower
from model.network.towers.words import load_tokenizer


@torch.inference_mode()
def compare_images(prepared: Path, config: Config, blocks: int, turns: int, scratch: Path) -> None:
    table = Catalogue(prepared / "catalogue").read("pins", ["image"])
    images = table["image"].slice(0, blocks * BLOCK).to_pylist()
    pixels = np.stack([to_pixels(image, config.vision.image_size, config.prepare) for image in images])
    plain = PooledMap(open_tower("vision", config.vision, None), config.vision.grid).eval()
    ways: dict[str, Callable[[np.ndarray], object]] = {
        "plain torch": lambda block: plain(torch.from_numpy(block)),
        "the extract step": image_runner(config, scratch),
    }
    parts = [pixels[start : start + BLOCK] for start in range(0, len(pixels), BLOCK)]
    passes = {name: lambda way=way: [way(part) for part in parts] for name, way in ways.items()}
    show("images", len(pixels), turn_about(passes, turns))


@torch.inference_mode()
def compare_texts(prepared: Path, config: Config, blocks: int, turns: int) -> None:
    rng, texts = np.random.default_rng(0), catalogue_texts(prepared)
    drawn = [texts[i] for i in rng.permutation(len(texts))[: blocks * BLOCK]]
    tower, words, ours = open_tower("text", config.text, None), load_tokenizer(config.text), sentence_runner(config)

    def padded(block: list[str]) -> torch.Tensor:
        ids = encode_texts(words, block, config.text.context)
        lengths = torch.tensor([len(row) for row in ids])
        places = torch.arange(int(lengths.max())).expand(len(ids), -1)
        ids_NL = torch.zeros(places.shape, dtype=torch.int64)
        for row, tokens in zip(ids_NL, ids, strict=True):
            row[: len(tokens)] = torch.from_numpy(tokens)
        seen_NL = places < lengths[:, None]
        tokens_NLH = tower(ids_NL, places, seen_NL[:, None].expand(-1, places.shape[1], -1))
        return (tokens_NLH * seen_NL[..., None]).sum(1) / lengths[:, None]

    def in_blocks(way: Callable[[list[str]], object], asked: list[str]) -> Callable[[], object]:
        return lambda: [way(asked[start : start + BLOCK]) for start in range(0, len(asked), BLOCK)]

    ways = {"plain torch": in_blocks(padded, drawn), "the extract step": in_blocks(ours, sorted(drawn, key=len))}
    show("texts", len(drawn), turn_about(ways, turns))


def turn_about(ways: Mapping[str, Callable[[], object]], turns: int) -> dict[str, tuple[float, float]]:
    """(wall seconds, core seconds) of each way, medians; the first turn warms up and is left out."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(turns + 1):
        for name, way in ways.items():
            wall, cores = time.perf_counter(), time.process_time()
            way()
            taken[name].append((time.perf_counter() - wall, time.process_time() - cores))
    return {name: tuple(map(statistics.median, zip(*pairs[1:], strict=True))) for name, pairs in taken.items()}


def show(what: str, count: int, seconds: Mapping[str, tuple[float, float]]) -> None:
    first = next(iter(seconds.values()))
    for name, (wall, cores) in seconds.items():
        print(f"{count:,} {what}, {name:<18}{count / wall:7.0f} a second{count / cores:7.0f} a core second"
              f"{first[1] / cores:6.2f} x plain torch by core seconds")  # fmt: skip


def whole_step(prepared: Path, config: Config, scratch: Path) -> None:
    for run in ("first", "second"):
        wall, cores = time.perf_counter(), time.process_time()
        facts = extract(prepared, scratch / "store", scratch / "extraction.json", config)
        seconds = f"{time.perf_counter() - wall:.1f} s, {time.process_time() - cores:.1f} core seconds"
        print(f"{run} pass: {seconds}; " + ", ".join(f"{f['new']:,} new {name}" for name, f in facts.items()))
    for name, kept in facts.items():
        print(f"{np.prod(kept['shape']) * BF16 + KEY:,} bytes of {kept['shape']} bf16 and key for each of the {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--prepared", type=Path, default=Path("runs/latest/prepared"), help="what the prepare step left"
    )
    parser.add_argument("--profile", default="pilot")
    parser.add_argument("--blocks", type=int, default=6, help=f"of {BLOCK} images, and texts, that are compared")
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    config = load(args.profile)
    print(f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as name:
        compare_images(args.prepared, config, args.blocks, args.turns, Path(name))
        compare_texts(args.prepared, config, args.blocks, args.turns)
        whole_step(args.prepared, config, Path(name))


if __name__ == "__main__":
    main()
