"""Tastes: Ward's clustering against a naive one, medoids by hand, and what a user's saves become."""

from datetime import UTC, datetime
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.data.catalogue import BOARDS, TIME
from model.embedding.affine import Affine, unit_length
from model.features.tastes import NEWEST, TASTES, likings, medoids, taste_table

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
    table = taste_table(likings(boards), pa.array(["p0", "p1", "p2"]), codes, AFFINE, 90)
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
        row = taste_table(likings(boards), pa.array(names), codes, AFFINE, 90).to_pylist()[0]
        assert (codes[-1].tobytes() in row["medoids"]) == seen


def test_no_boards_are_no_users():
    assert taste_table(likings(saves()), pa.array(["p0"]), np.zeros((1, 2), np.int8), AFFINE, 90).num_rows == 0


def named(boards, *users):
    return boards.append_column("user_id", pa.array(users, pa.string()))


def preferences(*rows):
    times = [datetime(2026, 1, day, tzinfo=UTC) if day else None for *_, day in rows]
    columns = {"user_id": [r[0] for r in rows], "pin_id": [r[1] for r in rows], "weight": [float(r[2]) for r in rows]}
    return pa.table(columns | {"time": pa.array(times, TIME)})


PINS = pa.array(["p0", "p1", "p2"])
CODES = np.array([[100, 0], [3, 100], [99, 10]], dtype=np.int8)  # two directions; p2 is near p0


def test_a_user_has_all_boards_and_a_board_without_a_user_stands_for_itself():
    boards = named(saves(("b1", "p0", 1), ("b2", "p1", 1), ("b3", "p1", 1)), "ann", "ann", None)
    table = taste_table(likings(boards), PINS, CODES, AFFINE, 90).to_pylist()
    assert [(row["user_id"], len(row["medoids"]) // 2, row["weights"]) for row in table] == [
        ("ann", 2, [0.5, 0.5]),
        ("b3", 1, [1.0]),
    ]


def test_users_of_one_board_each_without_times_have_the_tastes_of_their_boards():
    boards = saves(*[(f"b{i % 7}", f"p{i}", None) for i in range(60)])
    codes = np.random.default_rng(0).integers(-100, 100, (60, 2)).astype(np.int8)
    names = pa.array([f"p{i}" for i in range(60)])
    of_boards = taste_table(likings(boards), names, codes, AFFINE, 90)
    of_users = taste_table(likings(named(boards, *boards["board_id"].to_pylist())), names, codes, AFFINE, 90)
    assert of_users.equals(of_boards)


def test_what_a_catalogue_adds_for_its_users_changes_no_taste_of_a_board():
    boards = saves(("b", "p0", 1), ("b", "p2", 20), ("b", "p1", 30))
    plain = taste_table(likings(boards), PINS, CODES, AFFINE, 1)
    more = pa.concat_tables([named(boards, None, None, None), named(saves(("c", "p1", 1)), "ann")])
    table = taste_table(likings(more, preferences(("bob", "p0", 1, 1))), PINS, CODES, AFFINE, 1)
    assert table.filter(pc.equal(table["user_id"], "b")).equals(plain)
    assert table["user_id"].to_pylist() == ["ann", "b", "bob"]


def weights_of(rows, half_life_days):
    (row,) = taste_table(likings(saves(), preferences(*rows)), PINS, CODES, AFFINE, half_life_days).to_pylist()
    medoids = [row["medoids"][i : i + 2] for i in range(0, len(row["medoids"]), 2)]
    return dict(zip(medoids, row["weights"], strict=True))


def test_a_preference_halves_with_every_half_life_that_it_is_older():
    p0, p1 = CODES[0].tobytes(), CODES[1].tobytes()
    assert weights_of([("a", "p0", 1, 1), ("a", "p1", 1, 11)], 10) == pytest.approx({p0: 1 / 3, p1: 2 / 3})
    assert weights_of([("a", "p0", 4, 1), ("a", "p1", 1, 11)], 10) == pytest.approx({p0: 2 / 3, p1: 1 / 3})
    # What has no time is as old as the oldest that has one.
    rows = [("a", "p0", 1, 1), ("a", "p2", 2, None), ("a", "p1", 3, 11)]
    assert weights_of(rows, 10)[p1] == pytest.approx(2 / 3)
    assert weights_of([("a", "p0", 1, None), ("a", "p1", 3, None)], 10) == pytest.approx({p0: 0.25, p1: 0.75})


def test_a_taste_is_the_same_when_time_has_gone_by_and_weights_may_be_of_any_size():
    rows = [("a", "p0", 1, 1), ("a", "p1", 3, 11)]
    assert weights_of(rows, 10) == weights_of([(*row[:3], row[3] + 15) for row in rows], 10)
    huge = [("a", "p0", 1e308, 1), ("a", "p1", 3e307, 1), ("a", "p0", 1e308, 1)]
    assert sum(weights_of(huge, 10).values()) == pytest.approx(1)
    assert sum(weights_of([("a", "p0", 1, 1), ("a", "p1", 1, 28)], 0.001).values()) == pytest.approx(1)


def test_a_pin_that_is_bought_again_and_again_is_one_pin_that_weighs_more():
    codes = np.concatenate([CODES, np.random.default_rng(1).integers(-90, 90, (NEWEST, 2))]).astype(np.int8)
    names = pa.array([f"p{i}" for i in range(len(codes))])
    rows = [("a", "p0", 1, 2)] * NEWEST + [("a", "p1", 1, 1)]
    (row,) = taste_table(likings(saves(), preferences(*rows)), names, codes, AFFINE, 365).to_pylist()
    assert row["medoids"] == codes[:2].tobytes()  # p1 is older than all of p0, and there
    assert row["weights"][0] == pytest.approx(NEWEST / (NEWEST + 1), abs=1e-4)
