"""What a search finds, against all cosines computed one by one."""

import numpy as np
import pytest
from indexed_pins import AFFINE, DIM, PINS, at, rows

from model.embedding.affine import Affine, unit_length
from model.embedding.retrieval import top_k
from model.errors import ConfigError, VectorIndexError
from serving.index import IndexConfig, PinIndex

KINDS = ("exact", "hnsw", "ivf")
QUERIES = 100


@pytest.fixture(scope="module")
def queries(vectors):
    """Near the Pins, not of length 1, and most with values that no code can hold."""
    return 3 * (vectors[:QUERIES] + 0.05 * np.random.default_rng(1).normal(size=(QUERIES, DIM)).astype(np.float32))


@pytest.fixture(scope="module")
def truth(queries, codes):
    """(rows, cosines) (QUERIES, 10)."""
    return top_k(unit_length(queries), AFFINE.vectors(codes), 10)


def recall(ids, truth):
    return (
        np.mean([len({f"p{row}" for row in right} & set(found)) for found, right in zip(ids, truth, strict=True)]) / 10
    )


def test_exact_finds_what_all_cosines_say(built, queries, truth):
    ids, scores = built("exact").search(queries, 10)
    assert recall(ids, truth[0]) == 1
    assert scores.dtype == np.float32
    assert np.allclose(scores, truth[1], atol=1e-6)


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_approximate_kinds_find_nearly_all_of_it_with_exact_cosines(kind, built, queries, truth, codes):
    index = built(kind)
    ids, scores = index.search(queries, 10)
    assert recall(ids, truth[0]) >= 0.98
    assert (np.diff(scores, axis=1) <= 0).all()
    found = AFFINE.vectors(codes)[[[int(pin_id[1:]) for pin_id in row] for row in ids]]
    assert np.allclose((found @ unit_length(queries)[:, :, None])[..., 0], scores, atol=1e-6)


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_more_effort_finds_more(kind, built, queries, truth):
    index = built(kind, links=4, build_depth=8)
    little, much = (recall(index.search(queries, 10, effort=effort)[0], truth[0]) for effort in (1, 500))
    assert little + 0.04 < much


def test_four_bits(vectors):
    """The codes of a space of 4 bits stand between -8 and 7."""
    affine = Affine(scale=0.06, zero_point=0, bits=4, dim=DIM)
    codes = affine.quantize(vectors)
    index = PinIndex.build([rows([f"p{i}" for i in range(PINS)], codes)], "v7", affine, IndexConfig("hnsw"))
    right = top_k(vectors[:50], affine.vectors(codes), 10)[0]
    assert recall(index.search(vectors[:50], 10)[0], right) >= 0.98
    with pytest.raises(VectorIndexError, match=r"Some codes lie outside -8 … 7"):
        index.upsert(["p1"], np.full((1, DIM), 8, np.int8), at(1))


@pytest.mark.parametrize("kind", KINDS)
def test_excluded_ids_make_room_for_the_next(kind, built, vectors):
    index = built(kind)
    all_ids, all_scores = index.search(vectors[:3], 12)
    assert all_ids[:, 0].tolist() == ["p0", "p1", "p2"]
    ids, scores = index.search(vectors[:3], 10, exclude=[["p0", "unknown"], all_ids[1, :2], []])
    assert ids[0].tolist() == all_ids[0, 1:11].tolist()
    assert ids[1].tolist() == all_ids[1, 2:12].tolist()
    assert ids[2].tolist() == all_ids[2, :10].tolist()
    assert np.allclose(scores[0], all_scores[0, 1:11])


@pytest.mark.parametrize("kind", KINDS)
def test_more_results_than_pins(kind, built, vectors):
    ids, scores = built(kind, pins=3).search(vectors[:1], 5, exclude=[["p1"]])
    assert ids[0, 0] == "p0"
    assert ids[0, 1:].tolist() == ["p2", None, None, None]
    assert np.isneginf(scores[0, 2:]).all()
    assert built(kind, pins=3).search(vectors[:0], 5)[0].shape == (0, 5)


def test_a_vector_by_its_id(built, codes):
    index = built("hnsw", pins=10)
    index.upsert(["p1", "new"], codes[[20, 21]], at(1, 1))
    index.delete(["p2"], at(1))
    found, missing = index.vectors(["p9", "unknown", "new", "p2", "p1", "p9"])
    assert missing.tolist() == [False, True, False, True, False, False]
    assert np.allclose(found[~missing], AFFINE.vectors(codes[[9, 21, 20, 9]]))
    assert not found[missing].any()
    assert index.vectors([])[0].shape == (0, DIM)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (np.zeros((2, DIM - 1)), r"shape \(2, 31\); this index takes \(vectors, 32\)"),
        (np.zeros(DIM), r"shape \(32,\)"),
        (np.array([[0.0] * DIM, [np.nan] * DIM]), "Vector 1 has NaN or infinite numbers"),
        (np.full((1, DIM), np.inf), "Vector 0 has NaN or infinite numbers"),
        (np.full((1, DIM), "x"), "give numbers"),
    ],
)
def test_queries_that_are_none(wrong, sentence, built):
    with pytest.raises(VectorIndexError, match=sentence):
        built("exact", pins=5).search(wrong, 3)


def test_arguments_that_do_not_fit(built, vectors):
    index = built("exact", pins=5)
    with pytest.raises(VectorIndexError, match="k is 0 and effort 192; ask for at least 1"):
        index.search(vectors[:2], 0)
    with pytest.raises(VectorIndexError, match="exclude has 1 entries for 2 queries"):
        index.search(vectors[:2], 3, exclude=[["p1"]])


def test_settings_that_do_not_fit():
    for wrong in ({"kind": "lsh"}, {"effort": 0}, {"links": 1}, {"build_depth": 0}, {"lists": -1}, {"seed": -1}):
        with pytest.raises(ConfigError, match=rf"index\.{next(iter(wrong))} is"):
            IndexConfig(**wrong)
    with pytest.raises(ConfigError, match=r"index\.rebuild_share is 0"):
        IndexConfig(rebuild_share=0)


def test_building_from_what_does_not_fit(codes):
    def build(*batches):
        return PinIndex.build(batches, "v7", AFFINE, IndexConfig("exact"))

    with pytest.raises(VectorIndexError, match="There are no vectors to build the index of the space v7 from"):
        build(rows([], codes[:0]))
    with pytest.raises(VectorIndexError, match=r"2 ids came with codes of shape \(2, 31\)"):
        build(rows(["a", "b"], codes[:2, :31]))
    with pytest.raises(VectorIndexError, match=r"'b' has two vectors of the same time \(1 such pairs\)"):
        build(rows(["a", "b"], codes[:2]), rows(["b", "c"], codes[2:4]))


def test_of_an_id_that_comes_twice_the_newest_counts(codes):
    batches = [
        rows(["a", "b"], codes[:2], time=5),
        rows(["b", "a"], codes[2:4], time=4),
        rows(["b"], codes[4:5], time=6),
    ]
    index = PinIndex.build(batches, "v7", AFFINE, IndexConfig("exact"))
    assert len(index) == 2
    assert np.allclose(index.vectors(["a", "b"])[0], AFFINE.vectors(codes[[0, 4]]))
