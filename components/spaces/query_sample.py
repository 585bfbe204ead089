"""Vectors of some searches, kept with a space: an index is asked with them before the space serves.

A search in words lies farther from all Pins than a Pin does, and an index finds its neighbours less easily.
Shape legend: Q queries · E vector dimension
"""

import shutil
from pathlib import Path

import numpy as np

from components.settings import Settings
from components.spaces.paths import state_folder
from model.embedding.quantization import QUERIES_FILE
from model.files import replaced


def keep_queries(quantized: Path, space: str, settings: Settings) -> None:
    """A folder without queries leaves none."""
    if (quantized / QUERIES_FILE).is_file():
        with replaced(state_folder(space, settings) / QUERIES_FILE) as scratch:
            shutil.copyfile(quantized / QUERIES_FILE, scratch)


def kept_queries(space: str, settings: Settings) -> np.ndarray:
    """float32 (Q, E); none where publishing kept none."""
    file = state_folder(space, settings) / QUERIES_FILE
    return np.load(file) if file.is_file() else np.empty((0, 0), dtype=np.float32)
