"""Neighbours of a large graph: seconds, peak memory and walker steps a second, with the default GraphConfig.

    python benchmarks/graph_walks.py --pins 1000000 --edges 10000000

Board sizes follow a power law; each edge joins a board with a Pin drawn evenly. A repeated edge counts once, as
everywhere, so slightly fewer edges than asked for are walked. The walk uses all cores: measure on an idle machine.
"""

import argparse
import os
import time

import numpy as np
from measure import peak_bytes

from model.config import GraphConfig
from model.graph.walks import Adjacency, random_walk_neighbours

MEAN_BOARD, EXPONENT, LARGEST = 20, 1.5, 100_000  # Pins a board on average; of the power law; Pins of a board


def random_edges(pins: int, edges: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(pin, board) int32 (edges,), the boards' chances of an edge drawn from a Pareto law."""
    rng = np.random.default_rng(seed)
    chance = np.minimum(1 + rng.pareto(EXPONENT, edges // MEAN_BOARD), LARGEST / MEAN_BOARD)
    board = np.searchsorted(np.cumsum(chance / chance.sum()), rng.random(edges)).clip(max=len(chance) - 1)
    return rng.integers(pins, size=edges, dtype=np.int32), board.astype(np.int32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pins", type=int, default=1_000_000)
    parser.add_argument("--edges", type=int, default=10_000_000)
    args = parser.parse_args()
    pin, board = random_edges(args.pins, args.edges)
    start, config = time.perf_counter(), GraphConfig()
    graph = Adjacency.of(pin, board, args.pins)
    built, core_start = time.perf_counter(), time.process_time()
    found = random_walk_neighbours(graph, config, seed=0)
    seconds, core_seconds = time.perf_counter() - built, time.process_time() - core_start
    steps = np.count_nonzero(np.diff(graph.pin_starts)) * config.walks * config.steps
    print(f"{args.pins:,} Pins, {len(graph.boards):,} edges, boards of {np.diff(graph.board_starts).max():,} at most")
    print(f"graph built in {built - start:.1f} s")
    print(f"walked in {seconds:.1f} s on {os.cpu_count()} cores, {core_seconds:.1f} core seconds")
    print(f"{steps / seconds:,.0f} walker steps/s, {len(found.pin):,} pairs, peak {peak_bytes() / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
