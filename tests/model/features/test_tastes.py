"""Tastes: Ward's clustering against a naive one, medoids by hand, and what a user's saves become."""

from datetime import UTC, datetime
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.catalogue import BOARDS
from model.embedding.affine import Affine, unit_length
from model.features.tastes import NEWEST, TASTES, medoids, taste_table

AFFINE = Affine(scale=1 / 100, zero_point=0, bits=8, dim=2)


def naive_groups(x_NE, most):
    """Joins the two groups whose union's squared distances to its mean grow least, until `most` are left."""

    def spread(rows):
        return ((x_NE[rows] - x_NE[rows].mean(axis=0)) ** 2).sum()

    groups = [[i] for i in range(len(x_NE))]
    while len(groups) > most:
        a, b = min(combinations(groups, 2), key=lambda two: spread(two[0] + two[1]) - spread(two[0]) - spread(two[1]))
        groups = [g for g in groups if g is not a and g is not b] + [a + b]
    return groups


@given(st.integers(1, 14), st.integers(1, 4), st.integers(0, 10_000))
def test_equals_the_naive_clustering(size, most, seed):
    x_NE = unit_length(np.random.default_rng(seed).normal(size=(size, 5)))
    rows, weights = medoids(x_NE, most)
    groups = naive_groups(x_NE, most)
    assert len(rows) == len(groups)
    for members in groups:
        (place,) = [i for i, row in enumerate(rows) if row in members]
        apart = {i: ((x_NE[members] - x_NE[i]) ** 2).sum() for i in members}
        assert apart[rows[place]] == pytest.approx(min(apart.values()))
        assert weights[place] == np.float32(len(members) / size)
    assert np.all(np.diff(weights) <= 0)


def test_two_tastes_by_hand():
    x_NE = unit_length(np.array([[1, 0], [1, 0.1], [1, -0.1], [0, 1], [0.1, 1]]))
    rows, weights = medoids(x_NE, most=2)
    assert rows[0] == 0  # between the two beside it
    assert rows[1] in (3, 4)
    assert weights.tolist() == [np.float32(0.6), np.float32(0.4)]


def test_one_save_is_one_taste_and_equal_pins_are_one_group():
    assert [part.tolist() for part in medoids(np.array([[1.0, 0.0]]))] == [[0], [1.0]]
    rows, weights = medoids(np.tile([[0.6, 0.8]], (5, 1)))
    assert weights.sum() == 1
    assert len(rows) <= TASTES


def saves(*rows):
    times = [datetime(2026, 1, day, tzinfo=UTC) if day else None for _, _, day in rows]
    columns = {"board_id": [r[0] for r in rows], "pin_id": [r[1] for r in rows], "saved_at": times}
    return pa.table(columns, schema=pa.schema([BOARDS.field(name) for name in columns]))


def test_a_table_row_is_a_board_and_its_medoids_are_stored_bytes():
    codes = np.array([[100, 0], [0, 100], [99, 10]], dtype=np.int8)
    boards = saves(("b", "p0", 1), ("a", "p1", 1), ("b", "gone", 2), ("empty", "gone", 2))
    table = taste_table(boards, pa.array(["p0", "p1", "p2"]), codes, AFFINE)
    assert table.to_pylist() == [
        {"user_id": "a", "medoids": codes[1].tobytes(), "weights": [1.0]},
        {"user_id": "b", "medoids": codes[0].tobytes(), "weights": [1.0]},
    ]


def test_only_the_newest_saves_count():
    codes = np.concatenate([np.tile([[100, 0]], (NEWEST, 1)), [[0, 100]]]).astype(np.int8)
    names = [f"p{i}" for i in range(len(codes))]
    old_last = saves(*[("b", name, 2) for name in names[:-1]], ("b", names[-1], None))
    new_last = saves(*[("b", name, 2) for name in names[:-1]], ("b", names[-1], 3))
    for boards, seen in ((old_last, False), (new_last, True)):
        row = taste_table(boards, pa.array(names), codes, AFFINE).to_pylist()[0]
        assert (codes[-1].tobytes() in row["medoids"]) == seen


def test_no_boards_are_no_users():
    assert taste_table(saves(), pa.array(["p0"]), np.zeros((1, 2), np.int8), AFFINE).num_rows == 0
