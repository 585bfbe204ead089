"""Semantic IDs: like vectors begin alike, every level says more, and the same data gives the same codes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.errors import ModelError, TrainingError
from model.features.semantic_ids import SemanticIds, learn, prefix_numbers, read_semantic_ids, write_semantic_ids


def nested_clusters(seed: int, count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """(vectors, cluster): 6 clusters of 4 smaller ones each, 12 dimensions."""
    rng = np.random.default_rng(seed)
    coarse, fine = rng.normal(size=(6, 12)), 0.4 * rng.normal(size=(6, 4, 12))
    big, small = rng.integers(6, size=count), rng.integers(4, size=count)
    return (coarse[big] + fine[big, small] + 0.1 * rng.normal(size=(count, 12))).astype(np.float32), big * 4 + small


def shared_levels(codes: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.cumprod(codes[a] == codes[b], axis=1).sum(1)


@pytest.mark.parametrize("seed", range(3))
def test_nearest_vectors_share_longer_prefixes_than_random_ones(seed):
    x, _ = nested_clusters(seed)
    codes = learn(x, levels=3, size=8, seed=seed).encode(x)
    distance = np.square(x[:, None] - x).sum(2)
    np.fill_diagonal(distance, np.inf)
    everyone = np.arange(len(x))
    near = shared_levels(codes, everyone, distance.argmin(1)).mean()
    random = shared_levels(codes, everyone, np.random.default_rng(seed).permutation(len(x))).mean()
    assert near > 1.5
    assert random < 0.5


def test_a_centroid_each_tells_points_apart_by_hand():
    """Level 1 knows -10 and 10, level 2 what is left: -1 and 1."""
    ids = SemanticIds(np.array([[[-10], [10]], [[-1], [1]]], np.float32))
    x = np.array([[-11], [-9], [9], [11]], np.float32)
    assert ids.encode(x).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert ids.decode(ids.encode(x)).tolist() == x.tolist()


def test_every_level_leaves_less():
    x, _ = nested_clusters(0)
    ids = learn(x, levels=4, size=8)
    codes = ids.encode(x)
    left = [np.square(x - ids.decode(codes[:, :level])).sum(1).mean() for level in range(1, 5)]
    assert left == sorted(left, reverse=True)
    assert left[0] < np.square(x - x.mean(0)).sum(1).mean()


def test_vectors_that_were_not_learned_from_get_the_ids_of_their_cluster():
    x, cluster = nested_clusters(1)
    codes = learn(x[:400], levels=2, size=6, seed=1).encode(x)
    for number in range(24):
        known, fresh = codes[:400][cluster[:400] == number, 0], codes[400:][cluster[400:] == number, 0]
        assert (fresh == np.bincount(known).argmax()).mean() > 0.9


def test_the_same_seed_gives_the_same_codes():
    x, _ = nested_clusters(2)
    first, second, other = (learn(x, size=8, seed=seed) for seed in (5, 5, 6))
    assert np.array_equal(first.centroids_LKE, second.centroids_LKE)
    assert not np.array_equal(first.centroids_LKE, other.centroids_LKE)


def test_as_many_centroids_as_vectors_leave_nothing():
    x, _ = nested_clusters(3, count=20)
    ids = learn(x, levels=2, size=20)
    assert len(np.unique(ids.encode(x)[:, 0])) == 20
    assert ids.decode(ids.encode(x)) == pytest.approx(x, abs=1e-5)


@given(hnp.arrays(np.uint16, st.tuples(st.integers(0, 12), st.integers(1, 4)), elements=st.integers(0, 2)))
def test_prefix_numbers_are_equal_where_prefixes_are(codes):
    numbers = prefix_numbers(codes)
    for i in range(len(codes)):
        for j in range(len(codes)):
            for level in range(codes.shape[1]):
                same = codes[i, : level + 1].tolist() == codes[j, : level + 1].tolist()
                assert (numbers[i, level] == numbers[j, level]) == same


def test_what_was_written_is_read(tmp_path):
    x, _ = nested_clusters(4, count=50)
    ids = learn(x, size=8)
    write_semantic_ids(ids, tmp_path / "ids.safetensors")
    assert np.array_equal(read_semantic_ids(tmp_path / "ids.safetensors").encode(x), ids.encode(x))
    assert [p.name for p in tmp_path.iterdir()] == ["ids.safetensors"]


@pytest.mark.parametrize("content", [None, b"", b"no codebook at all"])
def test_a_file_that_is_no_codebook_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "ids.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"ids.safetensors holds no semantic IDs .* learn them again"):
        read_semantic_ids(tmp_path / "ids.safetensors")


def test_vectors_that_do_not_fit_are_refused():
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    ids = learn(x, size=4)
    with pytest.raises(ModelError, match="of 3 dimensions"):
        ids.encode(x[:, :2])
    with pytest.raises(ModelError, match="NaN"):
        ids.encode(np.full((1, 3), np.nan, np.float32))
    with pytest.raises(TrainingError, match="20 vectors cannot teach 21 centroids"):
        learn(x, size=21)
    with pytest.raises(TrainingError, match="0 levels by 4"):
        learn(x, levels=0, size=4)
