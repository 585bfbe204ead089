"""Exports a model folder's encoder as ONNX graphs: float32, any number of Pins and texts of any length.

<out>/pins.onnx       pixels, has_image, ids, lengths, types, slots -> vectors   (serving/encoder/padded.py)
<out>/queries.onnx    ids, lengths, types -> vectors
<out>/sentences.onnx  ids, lengths -> kept: of a frozen text tower alone; the other two read `kept` then
<out>/exported.json   which weights, by which version of this file, and the graphs' checksums; written last
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model.files import replaced, sha256_of, write_json
from model.network.checkpoint import load_model
from model.network.encoder import PinEncoder
from serving.encoder.padded import PaddedPins, PaddedQueries, PaddedSentences

VERSION = 3
TEXTS = {"ids": (4, 3), "lengths": (4,), "types": (4,)}  # shapes of the example: no two dimensions alike
GRAPHS = {
    "pins.onnx": ["pixels", "has_image", *TEXTS, "slots", "kept"],
    "queries.onnx": [*TEXTS, "kept"],
    "sentences.onnx": ["ids", "lengths"],
}


def exported(model_folder: Path, out: Path) -> Path:
    """`out`, with the graphs of these weights in it; they are written once and found there later.

    Raises:
        ModelError: see model.network.checkpoint.load_model.
    """
    encoder, _ = load_model(model_folder)
    mark, made_of = (
        out / "exported.json",
        {"version": VERSION, "weights": sha256_of(model_folder / "model.safetensors")},
    )
    if not _is_whole(mark, made_of):
        mark.unlink(missing_ok=True)
        encoder = encoder.float().eval()
        kept = _kept_example(encoder)
        examples = {"pins.onnx": (*_pins_example(encoder), *kept), "queries.onnx": (*_texts_example(), *kept)}
        graphs: dict[str, nn.Module] = {"pins.onnx": PaddedPins(encoder), "queries.onnx": PaddedQueries(encoder)}
        if kept:
            graphs["sentences.onnx"], examples["sentences.onnx"] = PaddedSentences(encoder), _texts_example()[:2]
        for name, graph in graphs.items():
            export_graph(graph, examples[name], out / name)
        write_json(mark, made_of | {"graphs": {name: sha256_of(out / name) for name in graphs}})
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


def _pins_example(encoder: PinEncoder) -> tuple[torch.Tensor, ...]:
    size = encoder.config.vision.image_size
    pixels_BSS3 = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    slots_BT = torch.tensor([[0, 1, 2, 3, 4], [6, 7, -1, -1, -1]])
    return pixels_BSS3, torch.tensor([True, False]), *_texts_example(), slots_BT


def _texts_example() -> tuple[torch.Tensor, ...]:
    return torch.zeros((4, 3), dtype=torch.int64), torch.tensor([3, 2, 2, 1]), torch.tensor([0, 1, 2, 0])


def _kept_example(encoder: PinEncoder) -> tuple[torch.Tensor, ...]:
    return (torch.zeros((4, encoder.joined_text.tower.width)),) if encoder.joined_text else ()


def export_graph(module: nn.Module, example: tuple[torch.Tensor, ...], file: Path) -> None:
    free: dict[str, Any] = {
        "pixels": {0},
        "has_image": {0},
        "ids": {0, 1},
        "lengths": {0},
        "types": {0},
        "slots": {0, 1},
        "kept": {0},
    }
    names = GRAPHS[file.name][: len(example)]
    shapes = tuple(dict.fromkeys(free[name], torch.export.Dim.DYNAMIC) for name in names)
    with _quiet(), torch.no_grad(), replaced(file) as scratch:
        # Captured here: where a size is taken for a constant, torch.onnx.export would try slower ways without a word.
        captured = torch.export.export(module, example, dynamic_shapes=shapes, strict=False)
        program = torch.onnx.export(
            captured,
            dynamo=True,
            input_names=names,
            output_names=["kept" if file.name == "sentences.onnx" else "vectors"],
            verbose=False,
        )
        assert program is not None  # it is None of the old exporter alone
        program.save(str(scratch), external_data=False)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hides the exporter's progress and its warnings about its own libraries."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
