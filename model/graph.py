"""The bipartite Pin–Board graph and its neighbours by random walks with restart (Pixie, Eksombatchai 2018).

From every training Pin `walks` walkers hop Pin -> board -> Pin; before each hop a walker returns to its start with
probability `restart`. A board of n Pins is chosen with weight n ** -damping, so that a popular board, which says
little, does not swallow the walks. The `top` most visited Pins are the neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model.config import GraphConfig

BLOCK = 8192  # start Pins walked at once: bounds the memory


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
        keys = np.unique(pin.astype(np.int64) * max(boards, 1) + board)
        pin, board = (keys // max(boards, 1)).astype(np.int32), (keys % max(boards, 1)).astype(np.int32)
        by_board = np.argsort(board, kind="stable")
        return Adjacency(_starts(pin, pins), board, _starts(board, boards), pin[by_board])


@dataclass(frozen=True)
class Neighbours:
    """Parallel arrays, a row a (Pin, neighbour) pair, most visited first for each Pin; weight = share of visits."""

    pin: np.ndarray
    neighbour: np.ndarray
    weight: np.ndarray


def random_walk_neighbours(
    graph: Adjacency, config: GraphConfig, seed: int, report: Callable[[float], None] = lambda fraction: None
) -> Neighbours:
    """The top neighbours of every Pin that has an edge. Deterministic by seed, in whichever order blocks are run."""
    cumulative = _board_choice(graph, config.damping)
    starts = np.flatnonzero(np.diff(graph.pin_starts)).astype(np.int32)
    parts = []
    for first in range(0, len(starts), BLOCK):
        block = starts[first : first + BLOCK]
        rng = np.random.default_rng([seed, first])
        parts.append(_top_visited(block, _walk(graph, cumulative, block, config, rng), config.top))
        report(min(1.0, (first + BLOCK) / len(starts)))
    pin, neighbour, weight = (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else (
        np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)
    )  # fmt: skip
    return Neighbours(pin, neighbour, weight)


def _starts(sorted_owner: np.ndarray, owners: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(sorted_owner, minlength=owners))])


def _board_choice(graph: Adjacency, damping: float) -> np.ndarray:
    """Running sum (edges + 1,) of every edge's weight; one Pin's boards are an interval of it."""
    sizes = np.diff(graph.board_starts)
    return np.concatenate([[0.0], np.cumsum(sizes[graph.boards].astype(np.float64) ** -damping)])


def _walk(
    graph: Adjacency, cumulative: np.ndarray, starts: np.ndarray, config: GraphConfig, rng: np.random.Generator
) -> np.ndarray:
    """The Pins visited from each start, (starts, walks * steps)."""
    home = np.repeat(starts, config.walks)
    here, visited = home, []
    for _ in range(config.steps):
        here = np.where(rng.random(len(home)) < config.restart, home, here)
        low, high = cumulative[graph.pin_starts[here]], cumulative[graph.pin_starts[here + 1]]
        edge = np.searchsorted(cumulative, low + rng.random(len(home)) * (high - low), side="right") - 1
        edge = np.clip(edge, graph.pin_starts[here], graph.pin_starts[here + 1] - 1)  # rounding at an interval's end
        board = graph.boards[edge]
        first, size = graph.board_starts[board], graph.board_starts[board + 1] - graph.board_starts[board]
        here = graph.pins[first + (rng.random(len(home)) * size).astype(np.int64)]
        visited.append(here.reshape(len(starts), config.walks))
    return np.concatenate(visited, axis=1)


def _top_visited(starts: np.ndarray, visited: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts the visits of each row and keeps the `top` Pins other than the start; ties go to the smaller number."""
    rows = np.repeat(np.arange(len(starts)), visited.shape[1])
    keys, counts = np.unique(rows * (int(visited.max()) + 1) + visited.ravel(), return_counts=True)
    row, pin = keys // (int(visited.max()) + 1), (keys % (int(visited.max()) + 1)).astype(np.int32)
    foreign = pin != starts[row]
    row, pin, counts = row[foreign], pin[foreign], counts[foreign]
    order = np.lexsort((pin, -counts, row))
    row, pin, counts = row[order], pin[order], counts[order]
    rank = np.arange(len(row)) - _starts(row, len(starts))[row]
    kept = rank < top
    weight = (counts[kept] / visited.shape[1]).astype(np.float32)
    return starts[row[kept]], pin[kept], weight
