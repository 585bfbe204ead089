"""The encoder in PyTorch. Shape legend: B Pins · S image side · N queries · E vector dimension"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from model.data.cleaning import RawTexts
from model.embedding.embedder import Embedder


class TorchEncoder:
    """See serving.encoder.opening.Encoder."""

    def __init__(self, model_folder: Path) -> None:
        self._embedder, self._one = Embedder(model_folder), Lock()  # the tokenizer's truncation is set on each call
        self.name = f"PyTorch on {self._embedder.device.type}"
        self.image_size, self.limits = self._embedder.config.vision.image_size, self._embedder.config.prepare

    def pins(self, pixels_BSS3: np.ndarray, has_image_B: np.ndarray, texts: Sequence[RawTexts]) -> np.ndarray:
        with self._one:
            return self._embedder.block(pixels_BSS3, has_image_B, texts)[0]

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        with self._one:
            return self._embedder.queries(texts)
