"""Exports a model folder's encoder as ONNX graphs: float32, any number of Pins and texts of any length.

<out>/pins.onnx       pixels, has_image, ids, lengths, types, slots -> vectors   (serving/encoder/padded.py)
<out>/queries.onnx    ids, lengths, types -> vectors
<out>/sentences.onnx  ids, lengths -> kept: of a frozen text tower alone; the other two read `kept` then
<out>/exported.json   which weights, by which version of this file, and the graphs' checksums; written last

A registered model has them in its folder already, under `onnx/`.

PyTorch's tracing exporter takes half a second, torch.export 14 (`demo`, 2026-11-29). But the first does not know every
operator, takes any size for a constant without a word, and is deprecated. So what it wrote is compared with the network
on a batch of other sizes; torch.export writes what cannot be traced or differs.
"""

import contextlib
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import nn

from model.errors import ExportError
from model.files import replaced, sha256_of, write_json
from model.network.checkpoint import load_model
from model.network.encoder import PinEncoder
from serving.encoder.padded import PaddedPins, PaddedQueries, PaddedSentences

VERSION = 4
OPSET = 18
REGISTERED = "onnx"  # the folder of the graphs within a registered model's
RELATIVE, ABSOLUTE = 1e-3, 1e-4  # how far a graph's numbers may lie from the network's
AXES = {  # of an input's sizes, those that may be any
    "pixels": {0: "B"},
    "has_image": {0: "B"},
    "ids": {0: "N", 1: "L"},
    "lengths": {0: "N"},
    "types": {0: "N"},
    "slots": {0: "B", 1: "T"},
    "kept": {0: "N"},
}
Batch = dict[str, torch.Tensor]  # by the names of the graph's inputs


def exported(model_folder: Path, out: Path) -> Path:
    """The folder with the graphs of these weights: the registered model's own, or `out`, where they are written once.

    Raises:
        ModelError: see model.network.checkpoint.load_model.
        ExportError: see export_graph.
    """
    encoder, _ = load_model(model_folder)
    made_of = {"version": VERSION, "weights": sha256_of(model_folder / "model.safetensors")}
    for folder in (model_folder / REGISTERED, out):
        if _is_whole(folder / "exported.json", made_of):
            return folder
    mark = out / "exported.json"
    mark.unlink(missing_ok=True)
    networks, batches = _networks(encoder.float().eval()), [_batch(encoder, 2, 4, 3), _batch(encoder, 3, 5, 5)]
    for name, (network, inputs) in networks.items():
        export_graph(network, [{key: batch[key] for key in inputs} for batch in batches], out / name)
    write_json(mark, made_of | {"graphs": {name: sha256_of(out / name) for name in networks}})
    return out


def _is_whole(mark: Path, made_of: dict[str, Any]) -> bool:
    """Whether the graphs beside the mark are of these weights, and their bytes those that were written."""
    try:
        told = json.loads(mark.read_text(encoding="utf-8"))
        damaged = [name for name, written in told["graphs"].items() if sha256_of(mark.parent / name) != written]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    if damaged:
        log = logging.getLogger(__name__)
        log.warning("%s is damaged and is exported again from the model.", mark.parent / damaged[0])
    return not damaged and told == made_of | {"graphs": told["graphs"]}


def _networks(encoder: PinEncoder) -> dict[str, tuple[nn.Module, list[str]]]:
    """The network of each graph, and the names of its inputs."""
    kept = ["kept"] if encoder.joined_text else []
    texts = ["ids", "lengths", "types"]
    networks: dict[str, tuple[nn.Module, list[str]]] = {
        "pins.onnx": (PaddedPins(encoder), ["pixels", "has_image", *texts, "slots", *kept]),
        "queries.onnx": (PaddedQueries(encoder), [*texts, *kept]),
    }
    return networks | ({"sentences.onnx": (PaddedSentences(encoder), ["ids", "lengths"])} if kept else {})


def _batch(encoder: PinEncoder, pins: int, texts: int, length: int) -> Batch:
    """Made-up inputs; the last Pin has no image and two text tokens."""
    size, length = encoder.config.vision.image_size, min(length, encoder.config.text.context)
    slots_BT = torch.arange(pins * (length + 2)).view(pins, -1) % (texts * length)
    slots_BT[-1, 2:] = -1
    batch = {
        "pixels": torch.arange(pins * size * size * 3).view(pins, size, size, 3).remainder(251).to(torch.uint8),
        "has_image": torch.arange(pins) < pins - 1,
        "ids": torch.arange(texts * length).view(texts, length),
        "lengths": torch.arange(texts) % length + 1,
        "types": torch.arange(texts),
        "slots": slots_BT,
    }
    if encoder.joined_text:
        batch["kept"] = torch.linspace(-1, 1, texts * encoder.joined_text.tower.width).view(texts, -1)
    return batch


def export_graph(network: nn.Module, batches: list[Batch], file: Path) -> None:
    """Exports the network by the first of two batches of different sizes, and compares graph and network on the second.

    Raises:
        ExportError: the network has operators that ONNX has not, works on one size of batch alone, or is too large.
    """
    example, other = batches
    with _quiet(), torch.no_grad(), replaced(file) as scratch:
        try:
            _trace(network, example, scratch)
            reason = "" if _agrees(network, other, scratch) else "its graph differs from the network"
        except Exception as error:  # the exporter and ONNX Runtime raise any
            reason = _first_line(error)
        if reason:
            log = logging.getLogger(__name__)
            log.warning("%s cannot be traced (%s); torch.export takes longer.", file.name, reason)
            _capture(network, example, scratch)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _trace(network: nn.Module, example: Batch, file: Path) -> None:
    torch.onnx.export(
        network,
        tuple(example.values()),
        str(file),
        dynamo=False,
        opset_version=OPSET,
        input_names=[*example],
        output_names=["vectors"],
        dynamic_axes={name: AXES[name] for name in example} | {"vectors": {0: "rows"}},
    )


def _agrees(network: nn.Module, batch: Batch, file: Path) -> bool:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found = session.run(None, {name: value.numpy() for name, value in batch.items()})[0]
    return np.allclose(found, network(*batch.values()).numpy(), RELATIVE, ABSOLUTE)


def _capture(network: nn.Module, example: Batch, file: Path) -> None:
    shapes = tuple(dict.fromkeys(AXES[name], torch.export.Dim.DYNAMIC) for name in example)
    names = {"input_names": [*example], "output_names": ["vectors"]}
    try:
        # Captured here: where a size is taken for a constant, torch.onnx.export would try slower ways without a word.
        captured = torch.export.export(network, tuple(example.values()), dynamic_shapes=shapes, strict=False)
        program = torch.onnx.export(captured, dynamo=True, verbose=False, **names)
        assert program is not None  # it is None of the old exporter alone
        program.save(str(file), external_data=False)
    except Exception as error:  # again any
        said = _first_line(error).rstrip(".")
        raise ExportError(f"The network cannot be exported as ONNX ({said}); serve this model on a GPU.") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides the exporters' progress and their warnings about their own libraries. One of them prints in C++."""
    exporter, nowhere, terminal = logging.getLogger("torch.onnx"), os.open(os.devnull, os.O_WRONLY), os.dup(1)
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    sys.stdout.flush()
    os.dup2(nowhere, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stdout.flush()
        os.dup2(terminal, 1)
        os.close(terminal)
        os.close(nowhere)
        exporter.setLevel(level)
