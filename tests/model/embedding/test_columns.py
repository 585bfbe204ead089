"""Columns read from shards against the same vectors held whole."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.embedding.columns import VectorColumn
from model.embedding.retrieval import top_k, top_k_of_blocks

MATRIX = np.random.default_rng(0).integers(-3, 4, (23, 4)).astype(np.float32)


def parted(lengths: list[int]) -> VectorColumn:
    """MATRIX in parts of these lengths."""
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return VectorColumn(starts, lambda part: MATRIX[starts[part] : starts[part + 1]])


@pytest.fixture
def stored(tmp_path):
    """MATRIX in two shards of which the first has three row groups, and another column beside it."""
    for name, part in (("0.parquet", MATRIX[:15]), ("1.parquet", MATRIX[15:])):
        columns = {c: pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 4) for c, x in (("a", part), ("b", -part))}
        pq.write_table(pa.table(columns), tmp_path / name, row_group_size=6)
    return lambda name: VectorColumn.stored([tmp_path / "0.parquet", tmp_path / "1.parquet"], name)


def test_a_stored_column_is_what_was_written(stored):
    assert stored("a").starts.tolist() == [0, 6, 12, 15, 21, 23]
    assert len(stored("a")) == 23
    assert np.array_equal(stored("a")[np.arange(23)], MATRIX)
    assert np.array_equal(stored("b")[np.array([22, 0, 0, 14])], -MATRIX[[22, 0, 0, 14]])
    assert stored("a")[np.arange(23)].dtype == np.float32


def test_a_changed_column_is_computed_part_by_part(stored):
    assert np.array_equal(stored("a").map(lambda x, y: x - 2 * y, stored("b"))[np.arange(23)], 3 * MATRIX)


@given(st.sampled_from([[23], [1, 22], [8, 8, 7], [0, 20, 0, 3, 0]]), st.lists(st.integers(0, 22), max_size=30))
def test_rows_in_any_order_and_blocks_in_rising_order(lengths, rows):
    column, rising = parted(lengths), np.unique(np.array(rows, dtype=np.int64))
    assert np.array_equal(column[np.array(rows, dtype=np.int64)].reshape(-1, 4), MATRIX[rows].reshape(-1, 4))
    blocks = list(column.blocks(rising))
    assert all(len(block) for block in blocks)
    assert np.array_equal(np.concatenate([MATRIX[:0], *blocks]), MATRIX[rising])


def test_only_parts_with_a_wanted_row_are_read():
    column, read = parted([8, 8, 7]), []
    watched = VectorColumn(column.starts, lambda part: (read.append(part), column.part(part))[1])
    list(watched.blocks(np.array([1, 5, 20])))
    assert read == [0, 2]


def test_a_part_is_read_once_for_all_selections():
    """The first selection has rows of the first and last part, the second of the last alone, the third none."""
    column, read = parted([8, 8, 7]), []
    watched = VectorColumn(column.starts, lambda part: (read.append(part), column.part(part))[1])
    selections = [np.array([1, 5, 20]), np.array([16, 22]), np.array([], dtype=np.int64)]
    blocks = [(number, block.tolist()) for number, block in watched.blocks_of(selections)]
    assert blocks == [(number, MATRIX[rows].tolist()) for number, rows in ((0, [1, 5]), (0, [20]), (1, [16, 22]))]
    assert read == [0, 2]


@given(st.sampled_from([[23], [1, 22], [8, 8, 7], [2] * 11 + [1]]), st.integers(1, 30), st.data())
def test_top_k_over_parts_is_top_k_over_all(lengths, k, data):
    """Small whole numbers: many scores tie, at the borders of parts too."""
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, 22), min_size=1))))
    gone = st.lists(st.integers(0, len(rows) - 1), unique=True).map(lambda x: np.array(x, dtype=np.int64))
    excluded = data.draw(st.none() | st.lists(gone, min_size=5, max_size=5))
    found = top_k_of_blocks(MATRIX[:5], parted(lengths).blocks(rows), k, excluded)
    for a, b in zip(found, top_k(MATRIX[:5], MATRIX[rows], k, excluded), strict=True):
        assert np.array_equal(a, b)
