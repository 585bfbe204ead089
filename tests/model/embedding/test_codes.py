"""The compared codes: true bytes, search against a naive one, and what each of them keeps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.embedding.affine import unit_length
from model.embedding.codes import NAMES, Binary, Float32, PerDimension, codes
from model.embedding.retrieval import top_k

DIM = 32


def unit_vectors(rows, seed=0, widths=1.0):
    return unit_length((np.random.default_rng(seed).normal(size=(rows, DIM)) * widths).astype(np.float32))


@pytest.fixture(scope="module")
def learned():
    return codes(unit_vectors(400), seed=0)


def overlap(code, x, queries, k=10):
    exact, found = top_k(queries, x, k)[0], code.search(queries, code.encode(x), k)
    return np.mean([len(set(a) & set(b)) for a, b in zip(exact, found, strict=True)]) / k


def test_bytes_are_those_of_the_stored_array(learned):
    sizes = {name: code.encode(unit_vectors(3)).shape for name, code in learned.items()}
    assert tuple(sizes) == NAMES
    assert list(sizes.values()) == [(3, 128), (3, 32), (3, 32), (3, 16), (3, 16), (3, 4), (3, 36)]
    assert all(code.encode(unit_vectors(3)).dtype == np.uint8 for code in learned.values())


def test_finer_codes_keep_more(learned):
    x, queries = unit_vectors(2000, seed=1), unit_vectors(50, seed=2)
    kept = {name: overlap(code, x, queries) for name, code in learned.items()}
    assert kept["float32"] == 1
    assert kept["int8"] > 0.95
    assert kept["int8_per_dim"] > 0.95
    assert kept["int8"] > kept["int4"] > kept["binary"]
    assert kept["binary_int8"] > kept["binary"] + 0.1


def test_a_scale_for_each_dimension_pays_where_widths_differ():
    widths = np.logspace(0, -2, DIM)
    x = unit_vectors(600, widths=widths)
    learned = codes(x, seed=0)
    error = {name: np.abs(learned[name].decode(learned[name].encode(x)) - x)[:, -1].mean() for name in learned}
    assert error["int8_per_dim"] < error["int8"] / 5


def test_a_rotation_pays_where_one_dimension_is_wide():
    x = unit_vectors(2000, widths=np.r_[12.0, np.ones(DIM - 1)])
    learned = codes(x, seed=0)
    assert overlap(learned["int4_rotated"], x, x[:100]) > overlap(learned["int4"], x, x[:100]) + 0.03


def test_a_dimension_without_values_breaks_nothing():
    x = unit_vectors(400, widths=np.r_[0, np.ones(DIM - 1)])
    code = PerDimension.calibrated(x, seed=0)
    back = code.decode(code.encode(x))
    assert (back[:, 0] == 0).all()
    assert np.abs(back - x).mean() < 0.002


def test_signs_by_hand():
    code = Binary(dim=9)
    stored = code.encode(np.array([[1.0, -1, 1, 1, 1, 1, 1, 1, -1]], np.float32))
    assert stored.tolist() == [[0b10111111, 0]]
    assert np.allclose(code.decode(stored) * 3, [[1, -1, 1, 1, 1, 1, 1, 1, -1]])


@given(st.integers(1, 130), st.integers(1, 40), st.integers(0, 1000))
def test_hamming_search_equals_a_naive_one(dim, rows, seed):
    rng = np.random.default_rng(seed)
    queries, x = rng.normal(size=(3, dim)), rng.normal(size=(rows, dim))
    excluded = [rng.permutation(rows)[: rng.integers(0, rows + 1)] for _ in range(3)]
    code = Binary(dim)
    found = code.search(queries, code.encode(x), 5, excluded)
    for query, gone, row in zip(queries, excluded, found, strict=True):
        apart = ((query >= 0) != (x >= 0)).sum(1)
        ranked = [i for i in np.argsort(apart, kind="stable") if i not in gone][:5]
        assert [i for i in row if i >= 0] == ranked
        assert len(row) == min(5, rows)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_excluded_is_never_found(learned, name):
    x, code = unit_vectors(30, seed=3), learned[name]
    found = code.search(x[:2], code.encode(x), 10, [np.array([0]), np.arange(25)])
    assert 0 not in found[0]
    assert set(found[1]) == {25, 26, 27, 28, 29, -1}
    assert found[1, 5:].tolist() == [-1] * 5  # no result stands behind all results


def test_rescoring_ranks_the_candidates_of_the_signs_by_their_codes(learned):
    x, queries, code = unit_vectors(500, seed=4), unit_vectors(20, seed=5), learned["binary_int8"]
    found = code.search(queries, code.encode(x), 10)
    signs = Binary(x.shape[1])
    proposed = signs.search(queries, signs.encode(x), 100)
    fine = code.decode(code.encode(x))
    for query, row, rows in zip(queries, found, proposed, strict=True):
        assert row.tolist() == rows[np.argsort(-(fine[rows] @ query), kind="stable")][:10].tolist()


def test_without_queries_nothing_is_found(learned):
    x = unit_vectors(20)
    for code in learned.values():
        assert code.search(x[:0], code.encode(x), 10).shape == (0, 10)


def test_float32_is_the_vector_itself():
    x = unit_vectors(5)
    assert np.array_equal(Float32().decode(Float32().encode(x)), x)
