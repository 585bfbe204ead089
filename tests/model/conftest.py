"""What the tests of this room share: a tiny generated catalogue, prepared and walked, and a tiny model of it."""

import io

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import settings
from PIL import Image
from tiny import TINY, tiny_catalogue, walked_catalogue

from model.config import load
from model.data.catalogue import SCHEMAS, CatalogueWriter
from model.embedding import embedder
from model.training import loop
from model.training.dataset import load_training_set

settings.register_profile("patient", deadline=None, max_examples=50)  # other work shares the processor
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The same sums in the same order, whatever else runs."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def config():
    return load("smoke", (*TINY, "train.epochs=8"))


@pytest.fixture(scope="session")
def walked(tmp_path_factory, config):
    """The folders (prepared, neighbours) of 240 generated Pins on 40 boards."""
    root = tmp_path_factory.mktemp("tiny")
    return walked_catalogue(root, config, tiny_catalogue(root, pins=240, seed=1))


@pytest.fixture(scope="session")
def training_set(walked, config):
    return load_training_set(*walked, config)[0]


@pytest.fixture(scope="session")
def trained(tmp_path_factory, walked, config):
    """(model folder, the points reported on the way) of eight epochs."""
    folder, points = tmp_path_factory.mktemp("trained") / "model", []
    loop.fit(*walked, folder, config, points.append)
    return folder, points


@pytest.fixture(scope="session")
def embedded(tmp_path_factory, walked, trained):
    """The vectors folder of the trained model."""
    folder = tmp_path_factory.mktemp("embedded") / "vectors"
    embedder.embed(walked[0], trained[0], folder, held_out=True)
    return folder


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory):
    """Tiny checkpoints written by transformers itself, a folder for each family: siglip, siglip2 (NaFlex), clip."""
    from tiny_checkpoints import write  # transformers takes seconds

    return write(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def catalogue_of(tmp_path, config):
    """Call with rows of pins, boards, queries, …: the folders (prepared, neighbours) of that catalogue."""

    def build(pins: list[dict], boards: list[dict] = (), queries: list[dict] = (), config=config, name="by-hand", **of):
        with CatalogueWriter(tmp_path / name / "catalogue") as writer:
            for table, rows in {"pins": pins, "boards": boards, "queries": queries, **of}.items():
                if rows:
                    writer.write(table, _table(table, rows))
        return walked_catalogue(tmp_path / name, config, tmp_path / name / "catalogue")

    return build


@pytest.fixture(scope="session")
def picture():
    """Call with a number: the PNG bytes of that picture."""

    def draw(number: int, side: int = 16) -> bytes:
        noise = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(noise).save(file, "PNG")
        return file.getvalue()

    return draw


def _table(name: str, rows: list[dict]) -> pa.Table:
    fields = [field for field in SCHEMAS[name] if any(field.name in row for row in rows)]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))
