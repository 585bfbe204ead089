"""Random walks: visit shares against the exact expectation of a walker, and what damping and restart must do."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import parallel
from model.config import GraphConfig
from model.graph import walks
from model.graph.walks import Adjacency, random_walk_neighbours

# Six Pins on a large board 0, a small board 1, a chain of boards 2 and 3; Pin 7 has no board.
EDGES = [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (0, 1), (1, 1), (4, 2), (5, 2), (5, 3), (6, 3)]


def adjacency(edges, pins=8) -> Adjacency:
    pin, board = (np.array(column, dtype=np.int32) for column in zip(*edges, strict=True)) if edges else (
        np.zeros(0, np.int32), np.zeros(0, np.int32)
    )  # fmt: skip
    return Adjacency.of(pin, board, pins)


def walk(edges, pins=8, seed=0, **settings) -> dict[int, dict[int, float]]:
    """{Pin: {neighbour: weight}}, in the order found."""
    found = random_walk_neighbours(adjacency(edges, pins), GraphConfig(**settings), seed)
    result: dict[int, dict[int, float]] = {}
    for pin, neighbour, weight in zip(found.pin.tolist(), found.neighbour.tolist(), found.weight.tolist(), strict=True):
        result.setdefault(pin, {})[neighbour] = weight
    return result


def expected_shares(edges, pins, config: GraphConfig) -> np.ndarray:
    """(pins, pins): share of a walker's visits, from the transition matrix of one hop."""
    edges = sorted(set(edges))
    members = {board: [p for p, b in edges if b == board] for _, board in edges}
    hop = np.zeros((pins, pins))
    for pin in range(pins):
        boards = [b for p, b in edges if p == pin]
        weights = np.array([len(members[b]) ** -config.damping for b in boards])
        for board, chance in zip(boards, weights / weights.sum(), strict=True):
            for other in members[board]:
                hop[pin, other] += chance / len(members[board])
    here, visits = np.eye(pins), np.zeros((pins, pins))
    for _ in range(config.steps):
        here = (config.restart * np.eye(pins) + (1 - config.restart) * here) @ hop
        visits += here
    return visits / config.steps


@pytest.mark.parametrize(("damping", "restart", "steps"), [(0.5, 0.3, 4), (0.0, 0.0, 3), (2.0, 0.9, 5)])
def test_weights_are_the_expected_shares_of_visits(damping, restart, steps):
    config = GraphConfig(walks=20_000, steps=steps, restart=restart, damping=damping)
    expected = expected_shares(EDGES, 8, config)
    found = walk(EDGES, walks=20_000, steps=steps, restart=restart, damping=damping)
    for pin in range(7):
        for other in range(7):
            if other != pin:
                assert found[pin].get(other, 0.0) == pytest.approx(expected[pin, other], abs=0.01)


def test_two_pins_of_one_board_by_hand():
    """Each hop ends on either of the two with chance 1/2."""
    found = walk([(0, 0), (1, 0)], pins=2, walks=5_000)
    assert list(found[0]) == [1]
    assert list(found[1]) == [0]
    assert found[0][1] == pytest.approx(0.5, abs=0.02)


def test_damping_lowers_the_share_of_a_popular_board():
    shares = [
        sum(walk(EDGES, walks=5_000, damping=damping)[0].get(pin, 0.0) for pin in (2, 3)) for damping in (0, 0.5, 1, 3)
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 1.5 * shares[-1]


def test_restart_keeps_a_walker_near():
    """Pin 6 is three boards away from Pin 0."""
    far = [walk(EDGES, walks=5_000, restart=restart, steps=6)[0].get(6, 0.0) for restart in (0.0, 0.3, 0.8)]
    assert far == sorted(far, reverse=True)
    assert far[0] > 0
    assert 6 not in walk(EDGES, walks=5_000, steps=2)[0]


def test_a_pin_without_board_and_a_board_of_one():
    found = walk([*EDGES, (7, 4)])
    assert 7 not in found  # it only ever visits itself
    assert 7 not in walk(EDGES)


def test_an_empty_graph_has_no_neighbours():
    found = random_walk_neighbours(adjacency([]), GraphConfig(), 0)
    assert len(found.pin) == len(found.neighbour) == len(found.weight) == 0


def test_a_repeated_edge_counts_once():
    assert walk(EDGES + EDGES) == walk(EDGES)


def test_the_seed_decides():
    assert walk(EDGES, seed=1) == walk(EDGES, seed=1)
    assert walk(EDGES, seed=1) != walk(EDGES, seed=2)


def test_progress_rises_to_one(monkeypatch):
    monkeypatch.setattr(walks, "BLOCK", 3)
    seen = []
    random_walk_neighbours(adjacency(EDGES), GraphConfig(), 0, seen.append)
    assert seen == [pytest.approx(3 / 7), pytest.approx(6 / 7), 1.0]


def test_many_blocks_find_what_one_finds(monkeypatch):
    """Each block has a stream of its own: the shares agree, the draws do not."""
    whole = walk(EDGES, walks=5_000)
    monkeypatch.setattr(walks, "BLOCK", 2)
    parts = walk(EDGES, walks=5_000)
    assert list(parts) == list(whole)
    for pin, neighbours in whole.items():
        for other, weight in neighbours.items():
            assert parts[pin].get(other, 0.0) == pytest.approx(weight, abs=0.03)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=25),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_neighbours_are_reachable_few_and_sorted(edges, top, steps):
    found = walk(edges, pins=10, top=top, steps=steps, walks=16)
    shares_a_board = np.zeros((10, 10), dtype=bool)
    for pin, board in edges:
        shares_a_board[pin, [p for p, b in edges if b == board]] = True
    reachable = np.linalg.matrix_power(shares_a_board.astype(int), steps) > 0
    for pin, neighbours in found.items():
        assert pin not in neighbours
        assert len(neighbours) <= top
        assert all(reachable[pin, other] for other in neighbours)
        assert list(neighbours.items()) == sorted(neighbours.items(), key=lambda item: (-item[1], item[0]))
        assert 0 < sum(neighbours.values()) <= 1 + 1e-6
    assert list(found) == sorted(found)


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(walks, "BLOCK", 2)
    found = []
    for threads in (1, 4):
        monkeypatch.setattr(parallel, "cpus", lambda threads=threads: threads)
        found.append(walk(EDGES, walks=200))
    assert found[0] == found[1]


def test_a_pin_of_many_boards_chooses_each_by_its_weight():
    """Pin 0 is on 13 boards; board b has b + 1 other Pins, all on that board alone."""
    edges, pins = [(0, board) for board in range(13)], 1
    for board in range(13):
        edges += [(pins + other, board) for other in range(board + 1)]
        pins += board + 1
    expected = expected_shares(edges, pins, GraphConfig(steps=1))[0]
    found = walk(edges, pins=pins, walks=20_000, steps=1, top=pins)[0]
    assert np.allclose([found.get(pin, 0.0) for pin in range(1, pins)], expected[1:], atol=0.005)


@given(st.data())
def test_the_most_visited_are_those_of_a_count(data):
    rows, visits, top = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5))
    visited = np.array(data.draw(st.lists(st.integers(0, 6), min_size=rows * visits, max_size=rows * visits)), np.int32)
    visited = visited.reshape(rows, visits)
    starts = np.arange(rows)
    expected = []
    for start, row in zip(starts.tolist(), visited, strict=True):
        counts = Counter(row[row != start].tolist())
        best = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]
        expected += [(start, pin, np.float32(count / visits)) for pin, count in best]
    found = walks.top_visited(starts, visited, top)
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected
