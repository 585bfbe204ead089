"""A space is published with what the scores of tags are worth, and pictures are looked up in it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feature_home import DIM, LINEAGE

from components.configuration import load
from components.spaces.publish import publish
from components.spaces.space_words import SpaceWords
from components.tombstones import bury
from model.data.catalogue import Catalogue, CatalogueWriter
from model.embedding.affine import Affine, unit_length
from model.embedding.held_out import write_held_out
from model.errors import CatalogueError, StoreError
from model.files import write_json

TOPICS, PINS = 4, 400


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    centres = unit_length(rng.normal(size=(TOPICS, DIM)))[np.arange(PINS) % TOPICS]
    return unit_length((centres + 0.3 * rng.normal(size=(PINS, DIM))).astype(np.float32))


@pytest.fixture
def home(features_home, tmp_path):
    """Pin i is of the topic i modulo 4, its slice; `rare` is an annotation of the Pins 0 and 4."""
    home = features_home.beside(tmp_path)
    home.prepared = tmp_path / "drawn"
    columns = {"pin_id": [f"p{i}" for i in range(PINS)], "image": [b"-"] * PINS, "title": ["a title"] * PINS}
    columns["annotations"] = [["rare"] if i in (0, 4) else None for i in range(PINS)]
    columns["slice_topic"] = [f"topic {i % TOPICS}" for i in range(PINS)]
    with CatalogueWriter(home.prepared / "catalogue") as writer:
        writer.write("pins", pa.table(columns))
    return home


@pytest.fixture
def quantized(tmp_path, home, vectors):
    folder, affine = tmp_path / "quantized", Affine(scale=1 / 127, zero_point=0, bits=8, dim=DIM)
    (folder / "pins").mkdir(parents=True)
    stored = pa.array([row.tobytes() for row in affine.quantize(vectors)], pa.binary())
    ids = [f"p{i}" for i in range(PINS)]
    pq.write_table(pa.table({"pin_id": ids, "vector": stored}), folder / "pins" / "00000.parquet")
    write_json(folder / "quantization.json", {"scale": affine.scale, "zero_point": 0, "bits": 8, "dim": DIM})
    catalogue, rows = Catalogue(home.prepared / "catalogue"), np.arange(0, PINS, 2)
    write_held_out(
        catalogue, rows, load("smoke"), lambda rows, *_: vectors[rows].copy(), 64, folder / "held_out.parquet"
    )
    return folder


def published(home, folder):
    publish(folder, home.prepared, home.registered(), LINEAGE, home.settings)
    return SpaceWords.read(None, home.prepared / "catalogue", home.settings)


def test_a_picture_is_named_by_the_space_that_serves(home, quantized, vectors):
    words = published(home, quantized)
    assert words.calibration.figures["picture"]["error"] < 0.1
    for topic, (tags, _) in enumerate(words.of_vectors(vectors[:TOPICS])):
        assert (tags[0].tag, tags[0].column) == (f"topic {topic}", "topic")
    assert SpaceWords.read(words.space.model_version, home.prepared / "catalogue", home.settings).space == words.space
    with pytest.raises(StoreError, match=r"Version 999 has no published space; these have: \d+\."):
        SpaceWords.read(999, None, home.settings)
    with pytest.raises(CatalogueError, match="There is no catalogue at"):
        SpaceWords.read(None, None, home.settings)  # the one that the space was made of


def test_a_forgotten_pins_words_are_gone(home, quantized):
    words = published(home, quantized).words
    rare = words.words.to_pylist().index("rare")
    assert words.counts_T[rare] == 2
    bury(["p4"], home.settings)
    assert SpaceWords.read(None, home.prepared / "catalogue", home.settings).words.counts_T[rare] == 1


def test_a_space_without_held_out_pins_says_so(home, quantized):
    (quantized / "held_out.parquet").unlink()
    with pytest.raises(StoreError, match="published without held-out Pins that scores are measured on"):
        published(home, quantized)
