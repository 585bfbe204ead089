"""What a trained model must be able to do: on plain colours, whose boards join what does not look alike.

Pins of two colours each share boards (red with blue, green with white, yellow with black). Pictures alone tell a Pin
its own colour; only training tells it the other one.
"""

import io

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from tiny import walked_catalogue

from model.config.overrides import override
from model.data.catalogue import CatalogueWriter
from model.embedding.embedder import Embedder, embed
from model.embedding.stored import read_vectors
from model.evaluation.evaluate import pinclip_vectors, retrieval_metrics
from model.evaluation.tasks import evaluation_scope
from model.graph.neighbourhood import read_fresh
from model.network.checkpoint import save_model
from model.network.encoder import PinEncoder
from model.network.text import train_tokenizer
from model.training.loop import fit

COLOURS = {
    "red": (220, 30, 30), "blue": (40, 60, 220), "green": (30, 200, 40),
    "white": (245, 245, 245), "yellow": (230, 220, 40), "black": (10, 10, 10),
}  # fmt: skip
NAMES = list(COLOURS)
PINS = 150


def colour_of(pin: int) -> str:
    return NAMES[pin % 6]


def team_of(pin: int) -> int:
    """Red and blue are team 0, green and white 1, yellow and black 2."""
    return pin % 6 // 2


def painted(colour: str, rng: np.random.Generator) -> bytes:
    noisy = np.clip(np.array(COLOURS[colour]) + rng.normal(0, 25, (16, 16, 3)), 0, 255)
    file = io.BytesIO()
    Image.fromarray(noisy.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def world(tmp_path_factory, config):
    """(prepared, neighbours, trained vectors, vectors of random weights, trained model folder)."""
    root, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(0)
    config = override(config, {"train": {"epochs": 40}})
    pins = [
        {"pin_id": f"p{i:03d}", "image": painted(colour_of(i), rng), "title": f"something {colour_of(i)} number {i}"}
        for i in range(PINS)
    ]
    saves = [(i, board) for i in range(PINS) for board in range(2) if rng.random() < 0.7]
    boards = [{"board_id": f"{team_of(i)}-{b}", "pin_id": f"p{i:03d}", "title": f"team {team_of(i)}"} for i, b in saves]
    with CatalogueWriter(root / "catalogue") as writer:
        writer.write("pins", pa.Table.from_pylist(pins))
        writer.write("boards", pa.Table.from_pylist(boards))
    folders = walked_catalogue(root, config, root / "catalogue")
    fit(*folders, root / "model", config, lambda point: None)
    torch.manual_seed(0)
    save_model(root / "random", PinEncoder(config), train_tokenizer(["something red"], config.text))
    for name in ("model", "random"):
        embed(folders[0], root / name, root / f"{name}-vectors")
    return *folders, root / "model-vectors", root / "random-vectors", root / "model"


def related_recall(world, vectors, config) -> float:
    return retrieval_metrics(pinclip_vectors(vectors), evaluation_scope(*world[:2], only_fresh=True), config)[
        "related_pins"
    ]["recall@10"]


def test_fresh_pins_find_both_colours_of_their_boards(world, config):
    trained, random = (related_recall(world, vectors, config) for vectors in world[2:4])
    assert trained > 0.8
    assert trained > random + 0.2


def nearest_teams(world, vectors: np.ndarray, count: int = 10) -> list[list[int]]:
    """The teams of the fresh Pins nearest to each vector."""
    fresh = np.flatnonzero(read_fresh(world[1]))
    scores = vectors @ read_vectors(world[2], "pin")[fresh].T
    return [[team_of(pin) for pin in fresh[np.argsort(-row)[:count]]] for row in scores]


def test_a_query_finds_fresh_pins(world):
    """The titles of boards are queries that training was told."""
    queries = Embedder(world[4]).queries([f"team {team}" for team in range(3)])
    shares = [np.mean(np.array(teams) == team) for team, teams in enumerate(nearest_teams(world, queries))]
    assert np.mean(shares) > 0.7


@pytest.mark.parametrize("shown", ["image", "text", "both"])
def test_image_or_text_alone_is_enough(world, shown):
    rng = np.random.default_rng(1)
    images = [painted(colour, rng) if shown != "text" else None for colour in NAMES]
    texts = [{"title": f"something {colour} number 7"} if shown != "image" else {} for colour in NAMES]
    teams = nearest_teams(world, Embedder(world[4]).pins(images, texts))
    shares = [np.mean(np.array(found) == pin // 2) for pin, found in enumerate(teams)]
    assert np.mean(shares) > 0.7
