"""The interface of an encoder in the service, and the choice of one for this machine.

Shape legend: B Pins · S image side · N queries · E vector dimension
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from model.config import PrepareConfig
from model.data.cleaning import RawTexts


class Encoder(Protocol):
    """Any number of threads may call it at once."""

    name: str  # for people: "ONNX Runtime" or "PyTorch on cuda"
    image_size: int
    limits: PrepareConfig  # of pictures: those that the model's own catalogue was prepared with

    def pins(self, pixels_BSS3: np.ndarray, has_image_B: np.ndarray, texts: Sequence[RawTexts]) -> np.ndarray:
        """Pin vectors (B, E), float32 of length 1; pixels are uint8 (anything where there is no image), texts raw."""
        ...

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        """Query vectors (N, E), float32 of length 1, in the Pins' space."""
        ...


def open_encoder(model_folder: Path, cache: Path, threads: int = 0) -> Encoder:
    """PyTorch where there is a GPU, else ONNX Runtime on graphs that are exported into `cache` once.

    threads: of one batch; 0: as many as there are CPUs.

    Raises:
        ModelError: see model.network.checkpoint.load_model.
    """
    import torch

    from serving.encoder.on_cpu import OnnxEncoder
    from serving.encoder.on_gpu import TorchEncoder

    if torch.cuda.is_available():
        return TorchEncoder(model_folder)
    return OnnxEncoder(model_folder, cache, threads)
