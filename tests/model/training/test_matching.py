"""Pairs of an epoch: nobody twice, everybody once, neighbours where one is free, drawn by their weight."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.training.matching import near_together, pair_up


@given(pins=st.integers(0, 40), seed=st.integers(0, 1000), empty=st.floats(0, 1))
def test_everybody_stands_in_one_pair_but_an_odd_last(pins, seed, empty):
    rng = np.random.default_rng(seed)
    neighbours = rng.integers(-1, max(pins, 1), size=(pins, 5)).astype(np.int32)
    neighbours[rng.random(neighbours.shape) < empty] = -1
    weights = np.where(neighbours >= 0, rng.random(neighbours.shape), 0).astype(np.float32)
    pairs = pair_up(neighbours, weights, rng)
    assert pairs.shape == (pins // 2, 2)
    assert len(set(pairs.ravel().tolist())) == pins // 2 * 2


def test_couples_find_each_other():
    """Pins 0-1, 2-3 and so on know only one another."""
    neighbours = (np.arange(100) ^ 1).astype(np.int32)[:, None]
    pairs = pair_up(neighbours, np.ones((100, 1), np.float32), np.random.default_rng(0))
    assert {tuple(sorted(pair)) for pair in pairs.tolist()} == {(i, i + 1) for i in range(0, 100, 2)}


def test_nobody_is_paired_with_itself_while_another_is_free():
    neighbours = np.array([[0, 1], [1, 0]], np.int32)
    pairs = pair_up(neighbours, np.ones((2, 2), np.float32), np.random.default_rng(0))
    assert sorted(pairs.ravel().tolist()) == [0, 1]


def test_in_blocks_they_are_the_same_pairs(monkeypatch):
    rng = np.random.default_rng(0)
    neighbours = rng.integers(-1, 90, size=(90, 4)).astype(np.int32)
    weights = np.where(neighbours >= 0, rng.random(neighbours.shape), 0).astype(np.float32)
    whole = pair_up(neighbours, weights, np.random.default_rng(1))
    monkeypatch.setattr("model.training.matching.BLOCK", 7)
    assert np.array_equal(pair_up(neighbours, weights, np.random.default_rng(1)), whole)


def test_a_free_neighbour_is_drawn_by_its_weight():
    """Pin 0 knows 1 (weight 3) and 2 (weight 1), which know nobody: three of four times it stands beside 1."""
    neighbours = np.array([[1, 2], [-1, -1], [-1, -1]], np.int32)
    weights = np.array([[0.75, 0.25], [0, 0], [0, 0]], np.float32)
    partners = Counter(
        int(pair[1]) for seed in range(2000) for pair in pair_up(neighbours, weights, np.random.default_rng(seed))
    )
    assert partners[1] / 2000 == pytest.approx(0.75, abs=0.03)
    assert partners[1] + partners[2] == 2000


@pytest.mark.parametrize("seed", range(5))
def test_hardly_anybody_is_left_who_could_stand_beside_a_neighbour(seed):
    rng = np.random.default_rng(seed)
    neighbours = rng.integers(0, 400, size=(400, 3)).astype(np.int32)
    pairs = pair_up(neighbours, np.full((400, 3), 1 / 3, np.float32), rng)
    beside = (neighbours[pairs[:, 0]] == pairs[:, 1:]).any(1)
    strangers = pairs[~beside].ravel()
    missed = np.isin(neighbours[strangers], strangers) & (neighbours[strangers] != strangers[:, None])
    assert missed.any(1).mean() < 0.1 if len(strangers) else True
    assert beside.mean() > 0.8


@given(pins=st.integers(2, 60), seed=st.integers(0, 1000), near=st.integers(2, 9))
def test_near_together_are_the_same_pairs(pins, seed, near):
    rng = np.random.default_rng(seed)
    neighbours = rng.integers(-1, pins, size=(pins, 4)).astype(np.int32)
    pairs = pair_up(neighbours, np.where(neighbours >= 0, 0.25, 0).astype(np.float32), rng)
    found = near_together(pairs, neighbours, near, rng)
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, pairs.tolist()))


def test_near_together_stand_those_of_one_neighbourhood():
    """Twenty groups of 20 Pins, each Pin with eight of its group: at random, a block of five is rarely of one group."""
    rng = np.random.default_rng(0)
    neighbours = (np.arange(400)[:, None] // 20 * 20 + rng.integers(0, 20, size=(400, 8))).astype(np.int32)
    pairs = pair_up(neighbours, np.full((400, 8), 1 / 8, np.float32), rng)

    def alike(ordered: np.ndarray) -> float:
        group = (ordered[:, 0] // 20).reshape(-1, 5)
        return (group == np.median(group, axis=1, keepdims=True)).mean()

    assert alike(pairs) < 0.4
    assert alike(near_together(pairs, neighbours, 5, rng)) > 0.8
    first = near_together(pairs, neighbours, 5, np.random.default_rng(1))
    assert not np.array_equal(first, near_together(pairs, neighbours, 5, np.random.default_rng(2)))
