"""Vectors of a whole catalogue and of single Pins are the same vectors, in the catalogue's order."""

import json
import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest

from model.data.catalogue import TEXT_SIGNALS, Catalogue, CatalogueWriter, joined_texts
from model.data.images.decoding import UnreadableImage
from model.embedding.embedder import Embedder, embed
from model.embedding.held_out import read_held_out
from model.embedding.stored import read_queries, read_vectors
from model.errors import CatalogueError, ModelError
from model.graph.neighbourhood import read_fresh


@pytest.fixture(scope="module")
def embedder(trained):
    return Embedder(trained[0])


@pytest.fixture(scope="module")
def rows(walked):
    """The Pins of the catalogue: id, image, texts by signal."""
    found = []
    for batch in Catalogue(walked[0] / "catalogue").batches("pins", ["pin_id", "image", *TEXT_SIGNALS]):
        texts = zip(*(joined_texts(batch.column(name).to_pylist()) for name in TEXT_SIGNALS), strict=True)
        texts = [dict(zip(TEXT_SIGNALS, row, strict=True)) for row in texts]
        found += zip(batch.column("pin_id").to_pylist(), batch.column("image").to_pylist(), texts, strict=True)
    return found


def test_shards_hold_every_pin_in_the_catalogues_order(embedded, rows, config):
    shards = sorted((embedded / "pins").iterdir())
    ids = [pin for shard in shards for pin in pq.read_table(shard)["pin_id"].to_pylist()]
    assert ids == [pin for pin, _, _ in rows]
    for name in ("pin", "image", "text"):
        vectors = read_vectors(embedded, name)
        assert (vectors.shape, vectors.dtype) == ((len(rows), 32), np.float32)
    assert json.loads((embedded / "embedding.json").read_text()) == {"dim": 32, "prefixes": [16, 32]}


def test_vectors_have_length_one(embedded, rows):
    for name in ("pin", "image"):
        assert np.allclose(np.linalg.norm(read_vectors(embedded, name), axis=1), 1, atol=1e-5)
    lengths = np.linalg.norm(read_vectors(embedded, "text"), axis=1)
    spoken = np.array([any(texts.values()) for _, _, texts in rows])
    assert np.allclose(lengths, spoken, atol=1e-5)
    assert np.allclose(np.linalg.norm(read_queries(embedded)[1], axis=1), 1, atol=1e-5)


def test_a_few_pins_at_once_are_the_same_pins(embedded, embedder, rows):
    some = [3, 0, 17, len(rows) - 1]
    vectors = embedder.pins([rows[i][1] for i in some], [rows[i][2] for i in some])
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, read_vectors(embedded, "pin")[some], atol=1e-4)
    for i in some:
        assert np.allclose(embedder.pins([rows[i][1]], [rows[i][2]])[0], read_vectors(embedded, "pin")[i], atol=1e-4)


def test_the_text_vector_is_that_of_the_first_text(embedded, embedder, rows):
    vectors = read_vectors(embedded, "text")
    for i in (0, 5, 40):
        name, text = next((name, text) for name, text in rows[i][2].items() if text)
        alone = embedder.block(np.zeros((1, 32, 32, 3), np.uint8), np.array([False]), [{name: text}])[2][0]
        assert np.allclose(vectors[i], alone, atol=1e-4)


def test_held_out_pins_are_those_that_no_training_saw_by_what_is_given_of_them(embedded, embedder, walked, rows):
    held = read_held_out(embedded / "held_out.parquet")
    fresh = np.flatnonzero(read_fresh(walked[1]))
    assert (held.ids.to_pylist(), held.min_board_pins) == ([rows[i][0] for i in fresh], 2)
    images = [rows[i][1] for i in fresh]
    said = [{name: text for name, text in rows[i][2].items() if text and name != "annotations"} for i in fresh]
    assert any(rows[i][2]["annotations"] for i in fresh)
    given = {"picture": (images, [{}] * len(fresh)), "texts": ([None] * len(fresh), said), "both": (images, said)}
    for mode, (pictures, texts) in given.items():
        there = np.array([mode != "texts" or bool(one) for one in texts])
        assert np.allclose(held.vectors[mode], embedder.pins(pictures, texts) * there[:, None], atol=1e-4)


def test_queries_are_the_distinct_ones_of_the_catalogue(embedded, embedder, walked):
    words, vectors = read_queries(embedded)
    asked = Catalogue(walked[0] / "catalogue").read("queries", ["query"])["query"].to_pylist()
    assert words == sorted(set(asked))
    assert np.allclose(embedder.queries(words), vectors, atol=1e-4)
    assert np.allclose(embedder.queries(words[7:8])[0], vectors[7], atol=1e-4)


def test_image_text_both_and_nothing(embedder, picture):
    image, texts = picture(1), {"title": "a cup of tea", "annotations": "tea, cup"}
    both, only_image, only_text, nothing = embedder.pins([image, image, None, None], [texts, {}, texts, {}])
    vectors = [both, only_image, only_text, nothing]
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for i in range(4):
        for j in range(i):
            assert not np.allclose(vectors[i], vectors[j], atol=1e-3)
    assert np.allclose(embedder.pins([image], [{"title": "", "caption": ""}])[0], only_image, atol=1e-4)


def test_nothing_asked_for(embedder):
    assert embedder.pins([], []).shape == (0, embedder.dim)
    assert embedder.queries([]).shape == (0, embedder.dim)
    assert embedder.queries([""]).shape == (1, embedder.dim)


@pytest.fixture
def in_shards(tmp_path, walked):
    """The prepared catalogue in shards of 100 Pins."""
    whole, prepared = Catalogue(walked[0] / "catalogue"), tmp_path / "in-shards"
    with CatalogueWriter(prepared / "catalogue", rows_per_shard=100) as writer:
        for table in ("pins", "boards", "queries"):
            writer.write(table, whole.read(table, whole.columns(table)))
    (prepared / "pixels.u8").symlink_to(walked[0] / "pixels.u8")
    return prepared


def test_blocks_and_shards_change_nothing(tmp_path, monkeypatch, in_shards, trained, embedded, rows):
    monkeypatch.setattr("model.embedding.embedder.BLOCK", 50)
    seen = []
    assert embed(in_shards, trained[0], tmp_path / "vectors", lambda share, message: seen.append(share)) == len(rows)
    assert seen == [pytest.approx(100 / len(rows)), pytest.approx(200 / len(rows)), 1.0, 1.0]
    assert {path.name: pq.read_metadata(path).num_rows for path in (tmp_path / "vectors" / "pins").iterdir()} == {
        "00000.parquet": 100, "00001.parquet": 100, "00002.parquet": len(rows) - 200,
    }  # fmt: skip
    for name in ("pin", "image", "text"):
        assert np.allclose(read_vectors(tmp_path / "vectors", name), read_vectors(embedded, name), atol=1e-4)
    few = Embedder(trained[0]).pins([row[1] for row in rows[:120]], [row[2] for row in rows[:120]])
    assert np.allclose(few, read_vectors(embedded, "pin")[:120], atol=1e-4)


def test_a_shard_may_be_embedded_twice_and_in_any_order(tmp_path, in_shards, trained):
    """As on a cluster that loses a node: the parts come late, and again; what is left is the same bytes."""

    def backwards_and_twice(work, parts):
        (work.out / "pins" / ".00001.parquet.99.partial").write_text("half")
        done = [work(pickle.loads(pickle.dumps(part))) for part in (*reversed(parts), parts[0])]
        return reversed(done[:-1])

    embed(in_shards, trained[0], tmp_path / "one")
    embed(in_shards, trained[0], tmp_path / "two", each=backwards_and_twice)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in ("one", "two"))
    assert one == two
    assert sorted(one) == ["00000.parquet", "00001.parquet", "00002.parquet", "embedding.json", "queries.parquet"]


def test_long_texts_and_foreign_ones(embedder):
    long, same_start = "tea " * 500, "tea " * 400
    vectors = embedder.queries([long, same_start, "お茶", "🍵", "\x00"])
    assert np.allclose(vectors[0], vectors[1], atol=1e-5)  # both are cut
    assert np.isfinite(vectors).all()


def test_what_cannot_be_embedded(tmp_path, embedder, walked, trained):
    with pytest.raises(UnreadableImage, match="unknown format"):
        embedder.pins([b"no image"], [{}])
    with pytest.raises(ModelError, match=r"lacks config\.json"):
        Embedder(tmp_path)
    with pytest.raises(CatalogueError, match="There is no catalogue"):
        embed(tmp_path, trained[0], tmp_path / "vectors")
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "catalogue").symlink_to(walked[0] / "catalogue")
    with pytest.raises(CatalogueError, match="run the prepare step again"):
        embed(tmp_path / "prepared", trained[0], tmp_path / "vectors")
    assert not (tmp_path / "vectors").exists()
