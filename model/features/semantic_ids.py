"""Semantic IDs: a vector as a few whole numbers, coarse to fine, so that like Pins share how their IDs begin.

Residual quantization: level 1 is the nearest of `size` centroids, level 2 the nearest centroid to what is left, and so
on; k-means learns the centroids of each level from the residuals of training Pins. The same vectors and seed give the
same codes. A codebook belongs to one space of vectors, and a Pin has its ID as soon as it has a vector.

    ids = learn(training_vectors, levels=3, size=64, seed=0)
    codes = ids.encode(vectors)             # (N, L)
    write_semantic_ids(ids, Path("semantic_ids.safetensors"))

Shape legend: N vectors · E vector dimension · L levels · K centroids of a level
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from model.errors import ModelError, TrainingError
from model.files import replaced

ROUNDS = 25  # of k-means, at most
SAMPLE = 256  # vectors a centroid, more teach nothing new
BLOCK = 8192  # vectors whose distances to all centroids are held at once


@dataclass(frozen=True)
class SemanticIds:
    """centroids_LKE: float32, of each level those of the residuals it was shown."""

    centroids_LKE: np.ndarray

    def encode(self, x_NE: np.ndarray) -> np.ndarray:
        """uint16 (N, L).

        Raises:
            ModelError: vectors of another dimension, or not finite.
        """
        _check(x_NE, self.centroids_LKE.shape[2])
        rest_NE, codes_NL = x_NE.astype(np.float32), np.empty((len(x_NE), len(self.centroids_LKE)), dtype=np.uint16)
        for level, centroids_KE in enumerate(self.centroids_LKE):
            codes_NL[:, level] = _nearest(rest_NE, centroids_KE)
            rest_NE = rest_NE - centroids_KE[codes_NL[:, level]]
        return codes_NL

    def decode(self, codes_NL: np.ndarray) -> np.ndarray:
        """float32 (N, E): sums of centroids, which the first levels of the codes already approximate."""
        levels = range(codes_NL.shape[1])
        return np.sum([self.centroids_LKE[level][codes_NL[:, level]] for level in levels], axis=0)


def learn(x_NE: np.ndarray, levels: int = 3, size: int = 64, seed: int = 0) -> SemanticIds:
    """Codebooks from training vectors, at most SAMPLE · size of them, drawn by seed.

    Raises:
        TrainingError: levels or size do not fit, or there are fewer vectors than centroids.
        ModelError: vectors that are not finite.
    """
    if levels < 1 or not 2 <= size <= 65_536:
        raise TrainingError(f"Semantic IDs of {levels} levels by {size} do not fit; choose 1 or more by 2 to 65,536.")
    if len(x_NE) < size:
        raise TrainingError(f"{len(x_NE)} vectors cannot teach {size} centroids; pass more vectors or a smaller size.")
    _check(x_NE, x_NE.shape[1])
    rng = np.random.default_rng(seed)
    rest_NE = x_NE[np.sort(rng.permutation(len(x_NE))[: SAMPLE * size])].astype(np.float32)
    centroids = []
    for _ in range(levels):
        centroids.append(_k_means(rest_NE, size, rng))
        rest_NE = rest_NE - centroids[-1][_nearest(rest_NE, centroids[-1])]
    return SemanticIds(np.stack(centroids))


def prefix_numbers(codes_NL: np.ndarray) -> np.ndarray:
    """int64 (N, L): equal numbers in column l mean codes that are equal down to level l."""
    numbers_NL = np.empty(codes_NL.shape, dtype=np.int64)
    above_N = np.zeros(len(codes_NL), dtype=np.int64)
    for level, code_N in enumerate(codes_NL.T.astype(np.int64)):
        above_N = np.unique(above_N * (code_N.max(initial=0) + 1) + code_N, return_inverse=True)[1]
        numbers_NL[:, level] = above_N
    return numbers_NL


def write_semantic_ids(ids: SemanticIds, path: Path) -> None:
    with replaced(path) as scratch:
        save_file({"centroids": np.ascontiguousarray(ids.centroids_LKE)}, scratch)


def read_semantic_ids(path: Path) -> SemanticIds:
    """Raises ModelError where the file is missing or is no such codebook."""
    try:
        centroids_LKE = load_file(path)["centroids"]
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(f"{path} holds no semantic IDs ({error}); learn them again from the vectors.") from None
    if centroids_LKE.ndim != 3:
        raise ModelError(f"{path} has centroids of shape {centroids_LKE.shape}; learn them again from the vectors.")
    return SemanticIds(centroids_LKE)


def _k_means(x_NE: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """float32 (K, E): Lloyd's rounds from vectors drawn at random. A centroid that nobody is near stays."""
    centroids_KE = x_NE[rng.choice(len(x_NE), size=size, replace=False)]
    nearest_N = np.full(len(x_NE), -1)
    for _ in range(ROUNDS):
        before_N, nearest_N = nearest_N, _nearest(x_NE, centroids_KE)
        if np.array_equal(before_N, nearest_N):
            break
        members_KN = sp.csr_matrix(
            (np.ones(len(x_NE), np.float32), (nearest_N, np.arange(len(x_NE)))), (size, len(x_NE))
        )
        count_K = members_KN.getnnz(axis=1)
        means_KE = (members_KN @ x_NE) / np.maximum(count_K, 1)[:, None]
        centroids_KE = np.where(count_K[:, None] > 0, means_KE, centroids_KE).astype(np.float32)
    return centroids_KE


def _nearest(x_NE: np.ndarray, centroids_KE: np.ndarray) -> np.ndarray:
    """int64 (N,): the nearest centroid by Euclidean distance, of equally near ones the first."""
    half_K = np.square(centroids_KE).sum(1) / 2  # ‖x − c‖² = ‖x‖² − 2 (x·c − ‖c‖² / 2)
    nearest_N = np.empty(len(x_NE), dtype=np.int64)
    for start in range(0, len(x_NE), BLOCK):
        block = slice(start, start + BLOCK)
        nearest_N[block] = (x_NE[block] @ centroids_KE.T - half_K).argmax(1)
    return nearest_N


def _check(x_NE: np.ndarray, dim: int) -> None:
    if x_NE.ndim != 2 or x_NE.shape[1] != dim:
        raise ModelError(
            f"Vectors of shape {x_NE.shape} meet semantic IDs of {dim} dimensions; use those of one space."
        )
    if not np.isfinite(x_NE).all():
        raise ModelError("Vectors with NaN or infinite values have no semantic ID; leave those rows out.")
