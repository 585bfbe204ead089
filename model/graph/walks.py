"""The bipartite Pin–Board graph and its neighbours by random walks with restart (Pixie, Eksombatchai 2018).

From every training Pin `walks` walkers hop Pin -> board -> Pin; before each hop a walker returns to its start with
probability `restart`. A board of n Pins is chosen with weight n ** -damping, so that a popular board, which says
little, does not swallow the walks. The `top` most visited Pins are the neighbours.

Blocks of Pins are walked side by side, in threads or on a cluster (model/parallel.py), each with a random stream of its
own. benchmarks/graph_walks.py measures it.

Shape legend: B Pins of a block · W walkers of a block, walks for each Pin · V visits of one Pin, walks * steps
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from model.config import GraphConfig
from model.parallel import Each, in_threads

BLOCK = 1024  # start Pins walked at once: their walkers fit the processor's cache
LOW_HALF = (1 << 32) - 1
NOTHING = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Adjacency:
    """Edges in both directions, compressed: the boards of Pin p are boards[pin_starts[p] : pin_starts[p + 1]]."""

    pin_starts: np.ndarray
    boards: np.ndarray
    board_starts: np.ndarray
    pins: np.ndarray

    @staticmethod
    def of(pin: np.ndarray, board: np.ndarray, pins: int) -> "Adjacency":
        """From parallel arrays of edges; a repeated edge counts once."""
        boards = int(board.max()) + 1 if len(board) else 0
        return Adjacency(*_compressed(pin, board, pins), *_compressed(board, pin, boards))


@dataclass(frozen=True)
class Neighbours:
    """Parallel arrays, a row a (Pin, neighbour) pair, most visited first for each Pin; weight = share of visits."""

    pin: np.ndarray
    neighbour: np.ndarray
    weight: np.ndarray


def random_walk_neighbours(
    graph: Adjacency,
    config: GraphConfig,
    seed: int,
    report: Callable[[float], None] = lambda fraction: None,
    each: Each = in_threads,
) -> Neighbours:
    """The top neighbours of every Pin that has an edge. Deterministic by seed, wherever the blocks are walked."""
    starts = np.flatnonzero(np.diff(graph.pin_starts))
    neighbours_of = partial(_neighbours, graph, _running_weight(graph, config.damping), starts, config, seed)
    parts = [(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))]
    for part in each(neighbours_of, range(0, len(starts), BLOCK)):
        parts.append(part)
        report(min(1.0, (len(parts) - 1) * BLOCK / len(starts)))
    return Neighbours(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _compressed(owner: np.ndarray, other: np.ndarray, owners: int) -> tuple[np.ndarray, np.ndarray]:
    """(starts (owners + 1,), what each owner is joined to in rising order, without repeats)."""
    keys = np.sort(owner.astype(np.int64) << 32 | other)
    keys = keys[np.diff(keys, prepend=-1) > 0]
    starts = np.concatenate([[0], np.cumsum(np.bincount(keys >> 32, minlength=owners))])
    return starts, (keys & LOW_HALF).astype(np.int32)


def _running_weight(graph: Adjacency, damping: float) -> np.ndarray:
    """Running sum (edges + 1,) of every edge's weight; one Pin's boards are an interval of it."""
    weight = np.maximum(np.diff(graph.board_starts), 1.0) ** -damping  # a number that no board has counts as 1
    return np.concatenate([[0.0], np.cumsum(weight[graph.boards])])


def _neighbours(
    graph: Adjacency, running: np.ndarray, starts: np.ndarray, config: GraphConfig, seed: int, first: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(pin, neighbour, weight) of the block of start Pins from `first`, which has a random stream of its own."""
    block = starts[first : first + BLOCK]
    visited_BV = _walk(graph, running, block, config, np.random.default_rng([seed, first]))
    return top_visited(block, visited_BV, config.top)


def _walk(
    graph: Adjacency, running: np.ndarray, starts_B: np.ndarray, config: GraphConfig, rng: np.random.Generator
) -> np.ndarray:
    """The Pins visited from each start, int32 (B, V)."""
    home_W = np.repeat(starts_B, config.walks)
    here_W, visited = home_W, []
    for _ in range(config.steps):
        here_W = np.where(rng.random(len(home_W)) < config.restart, home_W, here_W)
        board_W = graph.boards[_choose_edge(graph, running, here_W, rng)]
        first_W = graph.board_starts[board_W]
        size_W = graph.board_starts[board_W + 1] - first_W
        here_W = graph.pins[first_W + (rng.random(len(home_W)) * size_W).astype(np.int64)]
        visited.append(here_W.reshape(len(starts_B), config.walks))
    return np.concatenate(visited, axis=1)


def _choose_edge(graph: Adjacency, running: np.ndarray, pin_W: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An edge of each Pin, drawn by weight: a binary search in the Pin's own interval, for all walkers at once."""
    low_W, high_W = graph.pin_starts[pin_W], graph.pin_starts[pin_W + 1]
    least_W = running[low_W]
    target_W = least_W + rng.random(len(pin_W)) * (running[high_W] - least_W)
    for _ in range(int((high_W - low_W).max() - 1).bit_length()):
        middle_W = (low_W + high_W) >> 1
        above_W = running[middle_W] <= target_W
        low_W, high_W = np.where(above_W, middle_W, low_W), np.where(above_W, high_W, middle_W)
    return low_W


def top_visited(starts_B: np.ndarray, visited_BV: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts the visits of each row and keeps the `top` Pins other than the start; ties go to the smaller number."""
    visits = visited_BV.shape[1]
    visited_BV = np.sort(visited_BV, axis=1)
    run = np.flatnonzero(np.diff(visited_BV, axis=1, prepend=-1))  # where another Pin begins; every row begins one
    count, pin = np.diff(run, append=visited_BV.size), visited_BV.ravel()[run]
    rarity = np.where(pin == np.repeat(starts_B, visits)[run], NOTHING, (visits - count) << 32 | pin)
    keys_BV = np.full(visited_BV.shape, NOTHING)
    keys_BV.ravel()[run] = rarity
    best = np.sort(keys_BV, axis=1)[:, :top]
    row, rank = np.nonzero(best != NOTHING)
    found = best[row, rank]
    weight = (visits - (found >> 32)) / visits
    return starts_B[row].astype(np.int32), (found & LOW_HALF).astype(np.int32), weight.astype(np.float32)
