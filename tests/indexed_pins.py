"""What the tests of serving/index share: an affine, rows and times in one word."""

import numpy as np

from model.embedding.affine import Affine
from serving.rows import VectorRows, as_ids

DIM, PINS = 32, 2_000  # faiss compares bytes with bytes where the dimension divides by 32
AFFINE = Affine(scale=0.004, zero_point=5, bits=8, dim=DIM)  # 0.488 … -0.532: some values are clipped


def rows(ids: list[str], codes_NE: np.ndarray, time: int = 0) -> VectorRows:
    return VectorRows(as_ids(ids), codes_NE, np.full(len(ids), time, dtype=np.int64))


def at(*microseconds: int) -> np.ndarray:
    return np.array(microseconds, dtype="datetime64[us]")
