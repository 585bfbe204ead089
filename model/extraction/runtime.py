"""A frozen tower ready to run over many images and texts: uint8 pixels -> its pooled map, texts -> sentence vectors.

On a CPU images pass through ONNX Runtime, about three times torch's speed for EfficientNet-lite0
(docs/experiments.md). The graph is exported once and stands beside the records, with its checksum.

Shape legend: B images · S image side · L tokens · N texts · H the tower's width
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model.config import Config
from model.files import replaced, sha256_of, write_text
from model.network.joined import pooled_map, sentence_vectors
from model.network.text import encode_texts, pack_texts
from model.network.towers.backbone import VisionBackbone
from model.network.towers.opening import open_tower
from model.network.towers.words import load_tokenizer

BLOCK = 64  # images, or texts, that pass the tower at once
Images = Callable[[np.ndarray], Tensor]
Sentences = Callable[[Sequence[str]], Tensor]


class PooledMap(nn.Module):
    """uint8 pixels (B, S, S, 3) -> what is kept of them (B, L, H)."""

    def __init__(self, tower: VisionBackbone, grid: int) -> None:
        super().__init__()
        self.tower, self.grid = tower, grid

    def forward(self, pixels_BSS3: Tensor) -> Tensor:
        return pooled_map(self.tower, pixels_BSS3, self.grid)


def image_runner(config: Config, folder: Path) -> Images:
    """`folder` keeps the exported graph. Raises ModelError where the tower cannot be opened."""
    network = PooledMap(open_tower("vision", config.vision, None), config.vision.grid).eval()
    if torch.cuda.is_available():
        network = network.cuda()
        return lambda pixels: _on(network, torch.from_numpy(pixels).cuda())
    import onnxruntime

    graph = folder / "tower.onnx"
    if not _is_whole(graph):
        size = config.vision.image_size
        _export(network, torch.zeros((2, size, size, 3), dtype=torch.uint8), graph)
        write_text(_checksum(graph), sha256_of(graph))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda pixels: torch.from_numpy(session.run(None, {"pixels": pixels})[0])


def sentence_runner(config: Config) -> Sentences:
    """Raises ModelError where the tower or its tokenizer cannot be opened."""
    tower, words = open_tower("text", config.text, None), load_tokenizer(config.text)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tower.to(device)

    def run(texts: Sequence[str]) -> Tensor:
        ids = encode_texts(words, texts, config.text.context)
        return sentence_vectors(tower, pack_texts(ids, [0] * len(ids)).to(device)).cpu()

    return run


def _is_whole(graph: Path) -> bool:
    """Whether its bytes are those that were exported; the log says where they are not."""
    if not (graph.is_file() and _checksum(graph).is_file()):
        return False
    whole = _checksum(graph).read_text(encoding="utf-8") == sha256_of(graph)
    if not whole:
        logging.getLogger(__name__).warning("%s is damaged and is exported again from the tower.", graph)
    return whole


def _checksum(graph: Path) -> Path:
    return graph.with_suffix(".sha256")


@torch.inference_mode()
def _on(network: nn.Module, pixels_BSS3: Tensor) -> Tensor:
    return network(pixels_BSS3).cpu()


def _export(network: nn.Module, example: Tensor, graph: Path) -> None:
    for name in ("torch.onnx", "onnxscript"):
        logging.getLogger(name).setLevel(logging.ERROR)
    quiet = contextlib.redirect_stdout(io.StringIO())
    with quiet, warnings.catch_warnings(), torch.no_grad(), replaced(graph) as scratch:
        warnings.simplefilter("ignore")
        shapes = ({0: torch.export.Dim.DYNAMIC},)
        program = torch.onnx.export(
            network, (example,), dynamo=True, dynamic_shapes=shapes, input_names=["pixels"], verbose=False
        )
        assert program is not None  # it is None of the old exporter alone
        program.save(str(scratch), external_data=False)
