"""The exported encoder says what PyTorch says, whatever a batch is made of."""

import json
import logging
import random
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TINY
from torch import nn

from model.config import load
from model.data.catalogue import TEXT_SIGNALS
from model.embedding.embedder import Embedder
from model.errors import ExportError, ModelError
from model.network.checkpoint import save_model
from model.network.encoder import PinEncoder
from model.network.text import train_tokenizer
from serving.encoder import open_encoder
from serving.encoder.export import REGISTERED, export_graph, exported
from serving.encoder.inputs import pin_texts
from serving.encoder.on_cpu import OnnxEncoder

WORDS = ["coral", "teal", "indigo", "mustard", "moss", "circle", "square", "triangle", "7", "☂", "größe"]


@pytest.fixture(scope="module")
def both(onnx_model):
    """(PyTorch, ONNX Runtime) of the same weights."""
    folder, graphs = onnx_model
    return Embedder(folder), OnnxEncoder(folder, graphs, threads=1)


def batch(seed: int, pins: int) -> tuple[np.ndarray, np.ndarray, list[dict[str, str]]]:
    """Some without image, some without texts, some texts longer than the tower reads."""
    chance = random.Random(seed)
    pixels = np.random.default_rng(seed).integers(0, 256, (pins, 32, 32, 3), dtype=np.uint8)
    has_image = np.array([chance.random() < 0.7 for _ in range(pins)])
    texts = [
        {
            name: " ".join(chance.choices(WORDS, k=chance.choice((1, 3, 80))))
            for name in TEXT_SIGNALS
            if chance.random() < 0.4
        }
        for _ in range(pins)
    ]
    return pixels, has_image | np.array([not named for named in texts]), texts


@given(seed=st.integers(0, 10_000), pins=st.integers(1, 12))
@settings(max_examples=15, deadline=None)
def test_pin_vectors_are_those_of_pytorch(both, seed, pins):
    torch_encoder, onnx_encoder = both
    expected, found = torch_encoder.block(*batch(seed, pins))[0], onnx_encoder.pins(*batch(seed, pins))
    assert found.dtype == np.float32
    assert (expected * found).sum(1).min() > 1 - 1e-3
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["pins.onnx", "queries.onnx"])
def test_a_damaged_graph_is_told_by_its_name_and_exported_again(onnx_model, tmp_path, caplog, name):
    folder, whole = onnx_model
    graphs = Path(shutil.copytree(whole, tmp_path / "graphs"))
    data = bytearray((graphs / name).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    (graphs / name).write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert exported(folder, graphs) == graphs
    assert f"{graphs / name} is damaged and is exported again" in caplog.text
    assert (graphs / name).read_bytes() == (whole / name).read_bytes()


def test_query_vectors_are_those_of_pytorch(both):
    queries = ["teal", "a coral circle beside an indigo square", "☂", "x" * 500]
    expected, found = both[0].queries(queries), both[1].queries(queries)
    assert (expected * found).sum(1).min() > 1 - 1e-3


def test_a_pin_does_not_depend_on_its_batch(both):
    pixels, has_image, texts = batch(3, 6)
    together = both[1].pins(pixels, has_image, texts)
    alone = np.concatenate([both[1].pins(pixels[i : i + 1], has_image[i : i + 1], texts[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_texts_and_images_count(both):
    pixels, _, _ = batch(1, 2)
    shown = both[1].pins(pixels, np.array([True, False]), [{"title": "teal circle"}] * 2)
    other = both[1].pins(pixels, np.array([True, False]), [{"title": "coral square"}, {"title": "teal circle"}])
    assert not np.allclose(shown[0], other[0], atol=1e-3)
    np.testing.assert_allclose(shown[1], other[1], atol=1e-6)


def test_slots_by_hand(both):
    tokenizer = both[1].tokenizer
    ids, slots = pin_texts(tokenizer, [{"caption": "teal", "title": "coral circle"}, {}, {"title": "teal"}], 32)
    long, short = int(ids.lengths_N[0]), int(ids.lengths_N[1])  # of Pin 0 the title comes first
    assert ids.ids_NL.shape == (3, long)
    assert slots[0].tolist() == [*range(long), *range(long, long + short)]
    assert set(slots[1].tolist()) == {-1}
    assert slots[2, :short].tolist() == list(range(2 * long, 2 * long + short))


def test_graphs_are_exported_once_for_their_weights(onnx_model, tmp_path, monkeypatch):
    folder, graphs = onnx_model
    before = (graphs / "pins.onnx").stat().st_mtime_ns
    assert exported(folder, graphs) == graphs
    assert (graphs / "pins.onnx").stat().st_mtime_ns == before
    written = []

    def export(module, example, file):
        written.append(file.name)
        file.write_bytes(b"a graph")

    monkeypatch.setattr("serving.encoder.export.export_graph", export)
    (tmp_path / "exported.json").write_text(json.dumps({"version": 1, "weights": "of another model"}))
    exported(folder, tmp_path)
    assert written == ["pins.onnx", "queries.onnx"]
    exported(folder, tmp_path)
    assert len(written) == 2
    (tmp_path / "queries.onnx").write_bytes(b"a grapH")  # one byte has changed on the disk
    exported(folder, tmp_path)
    assert len(written) == 4


def test_a_registered_models_own_graphs_are_used_while_they_are_whole(onnx_model, tmp_path):
    folder = Path(shutil.copytree(onnx_model[0], tmp_path / "model"))
    shutil.copytree(onnx_model[1], folder / REGISTERED)
    assert exported(folder, tmp_path / "cache") == folder / REGISTERED
    assert not (tmp_path / "cache").exists()
    (folder / REGISTERED / "pins.onnx").write_bytes(b"damaged")
    assert exported(folder, tmp_path / "cache") == tmp_path / "cache"


class Counting(nn.Module):
    """Tracing takes the number of rows for a constant."""

    def forward(self, ids_NL):
        return ids_NL.float() * torch.sym_float(ids_NL.shape[0])


class Summing(nn.Module):
    """Tracing does not know the operator."""

    def forward(self, ids_NL):
        return torch.trapezoid(ids_NL.float())


@pytest.mark.parametrize(
    ("network", "reason"), [(Counting(), "its graph differs from the network"), (Summing(), "'aten::trapezoid'")]
)
def test_what_cannot_be_traced_is_exported_by_torch_export(tmp_path, caplog, capfd, network, reason):
    batches = [{"ids": torch.arange(rows * (rows + 1)).view(rows, -1)} for rows in (4, 6, 9)]
    export_graph(network, batches[:2], tmp_path / "graph.onnx")
    assert reason in caplog.text
    assert capfd.readouterr().out == ""
    session = onnxruntime.InferenceSession(tmp_path / "graph.onnx")
    found = session.run(None, {"ids": batches[2]["ids"].numpy()})[0]
    np.testing.assert_allclose(found, network(batches[2]["ids"]).numpy())


@pytest.mark.parametrize("level", ["token_level", "global_level"])
def test_networks_of_our_own_are_traced(tmp_path, caplog, level):
    """torch.export, which takes their place where they are not, takes fourteen seconds."""
    other = {"token_level": "global_level", "global_level": "token_level"}[level]
    config = load("smoke", (*TINY, f"fusion.{level}=true", f"fusion.{other}=false"))
    save_model(tmp_path / "model", PinEncoder(config), train_tokenizer(WORDS, config.text))
    exported(tmp_path / "model", tmp_path / "graphs")
    assert {path.name for path in (tmp_path / "graphs").iterdir()} == {"exported.json", "pins.onnx", "queries.onnx"}
    assert caplog.text == ""


class Branching(nn.Module):
    """What it does depends on the numbers."""

    def forward(self, ids_NL):
        return ids_NL.float() if ids_NL.sum() > 13 else -ids_NL.float()


def test_what_cannot_be_exported_is_one_sentence(tmp_path):
    batches = [{"ids": torch.ones((rows, 3), dtype=torch.int64)} for rows in (4, 6)]
    with pytest.raises(
        ExportError, match=r"^The network cannot be exported as ONNX \(.*\); serve this model on a GPU\.$"
    ):
        export_graph(Branching(), batches, tmp_path / "graph.onnx")
    assert not [*tmp_path.iterdir()]


def test_a_folder_without_a_model_is_said(tmp_path):
    with pytest.raises(ModelError, match="lacks config"):
        open_encoder(tmp_path, tmp_path / "cache")
