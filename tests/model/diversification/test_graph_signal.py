"""Vectors of neighbourhoods: their cosines are those of the walk matrix, and no neighbours is no signal."""

import numpy as np
import pytest

from model.diversification.graph_signal import graph_vectors
from model.graph.walks import Neighbours

# Pins 0 and 1 visit each other and Pin 2; Pins 3 and 4 visit each other; Pin 5 has no edge.
FOUND = Neighbours(
    np.array([0, 0, 1, 1, 2, 3, 4], np.int32),
    np.array([1, 2, 0, 2, 0, 4, 3], np.int32),
    np.array([0.4, 0.1, 0.4, 0.1, 0.2, 0.5, 0.5], np.float32),
)


def test_cosines_are_those_of_the_walk_matrix():
    rows = np.zeros((6, 6))
    rows[FOUND.pin, FOUND.neighbour] = np.sqrt(FOUND.weight)
    np.fill_diagonal(rows, rows.max(1))
    lengths = np.maximum(np.linalg.norm(rows, axis=1), 1e-9)
    expected = (rows @ rows.T) / np.outer(lengths, lengths)
    x = graph_vectors(FOUND, 6, dim=20_000)
    assert x @ x.T == pytest.approx(expected, abs=0.04)
    assert x[0] @ x[1] == pytest.approx(1, abs=1e-5)  # the same neighbourhood
    assert not x[5].any()


def test_the_same_seed_gives_the_same_vectors():
    assert np.array_equal(graph_vectors(FOUND, 6, seed=4), graph_vectors(FOUND, 6, seed=4))
    assert not np.array_equal(graph_vectors(FOUND, 6, seed=4), graph_vectors(FOUND, 6, seed=5))
