"""A folder of pictures: what can be read is embedded as a Pin without texts, the rest is kept aside."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from served_pins import drawn, tiny_model

from model.embedding.embedder import Embedder
from model.embedding.picture_folder import embed_pictures
from model.errors import CatalogueError


@pytest.fixture(scope="module")
def embedder(tmp_path_factory):
    return Embedder(tiny_model(tmp_path_factory.mktemp("model")))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "shop" / "red").mkdir(parents=True)
    for place, name in enumerate(["a.png", "red/b.PNG", "red/grün.png"]):
        (tmp_path / "shop" / name).write_bytes(drawn(place))
    (tmp_path / "shop" / "notes.txt").write_text("no picture")
    return tmp_path / "shop"


def test_vectors_are_those_of_pins_without_texts(folder, embedder, tmp_path):
    assert embed_pictures(folder, embedder, tmp_path / "out.parquet") == (3, 0)
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["file"].to_pylist() == ["a.png", "red/b.PNG", "red/grün.png"]
    found = np.array(table["vector"].to_pylist(), dtype=np.float32)
    assert np.allclose(found, embedder.pins([drawn(place) for place in range(3)], [{}] * 3), atol=1e-5)
    assert not (tmp_path / "out.refused.parquet").exists()


def test_what_cannot_be_read_is_kept_aside(folder, embedder, tmp_path, monkeypatch):
    monkeypatch.setattr("model.embedding.picture_folder.BLOCK", 2)  # a block of which nothing can be read
    (folder / "0.jpg").write_bytes(b"no image")
    (folder / "1.jpg").write_bytes(drawn(1)[:200])
    (folder / "2.jpg").symlink_to(tmp_path / "nowhere")
    said = []
    assert embed_pictures(folder, embedder, tmp_path / "out.parquet", lambda _, text: said.append(text)) == (3, 2)
    refused = dict(zip(*pq.read_table(tmp_path / "out.refused.parquet").to_pydict().values(), strict=True))
    assert refused == {"0.jpg": "unknown format", "1.jpg": "truncated"}
    assert said[-1] == "5 of 5 pictures, 2 refused"
    for name in ("0.jpg", "1.jpg"):
        (folder / name).unlink()
    embed_pictures(folder, embedder, tmp_path / "out.parquet")
    assert not (tmp_path / "out.refused.parquet").exists()  # of the call before


def test_nothing_to_embed_is_one_sentence_and_leaves_the_old_file(embedder, tmp_path):
    (tmp_path / "out.parquet").write_bytes(b"old")
    (tmp_path / "shop").mkdir()
    with pytest.raises(CatalogueError, match="holds no picture"):
        embed_pictures(tmp_path / "shop", embedder, tmp_path / "out.parquet")
    (tmp_path / "shop" / "a.jpg").write_bytes(b"")
    with pytest.raises(CatalogueError, match=r"None of the 1 pictures of .* can be read: empty"):
        embed_pictures(tmp_path / "shop", embedder, tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == b"old"
