"""The codes a Pin vector can be stored in, from float32 to single bits, with one interface: encode, decode, search.

    float32        4 E bytes       the model's output
    int8           E               global affine: what this project stores (model/embedding/affine.py)
    int8_per_dim   E               affine with a scale for each dimension
    int4           E / 2           global affine, two codes a byte
    int4_rotated   E / 2           the same after a random rotation, which spreads wide dimensions over all
    binary         E / 8           signs; likeness is E - 2 · Hamming distance
    binary_int8    E / 8 + E       the CANDIDATES nearest by signs, ranked anew by their int8 codes

Whatever a code has to learn, it learns from training Pins, for vectors of one dimension.
Shape legend: N vectors · E vector dimension · B bytes of a stored vector · Q queries · K results
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.embedding.affine import Affine, unit_length
from model.embedding.quantization import QUANTILES, calibrate, keeping_most
from model.embedding.retrieval import top_k

NAMES = ("float32", "int8", "int8_per_dim", "int4", "int4_rotated", "binary", "binary_int8")
CANDIDATES = 100  # that the signs propose and the int8 codes rank
BLOCK = 64  # queries whose candidates' vectors are held at once


class Code(Protocol):
    def encode(self, x_NE: np.ndarray) -> np.ndarray:
        """uint8 (N, B): all that is stored of each vector."""

    def decode(self, stored_NB: np.ndarray) -> np.ndarray:
        """float32 (N, E): stored vectors that ask, restored as well as the code allows."""

    def search(
        self, queries_QE: np.ndarray, stored_NB: np.ndarray, k: int, excluded: list[np.ndarray] | None = None
    ) -> np.ndarray:
        """int64 (Q, K): rows of the k most similar stored vectors, best first; -1 is no result."""


class _Restoring(ABC):
    """Codes that are searched by restoring every vector."""

    @abstractmethod
    def decode(self, stored_NB: np.ndarray) -> np.ndarray:
        """float32 (N, E)."""

    def search(
        self, queries_QE: np.ndarray, stored_NB: np.ndarray, k: int, excluded: list[np.ndarray] | None = None
    ) -> np.ndarray:
        return top_k(queries_QE, self.decode(stored_NB), k, excluded)[0]


class Float32(_Restoring):
    def encode(self, x_NE: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(x_NE, dtype=np.float32).view(np.uint8)

    def decode(self, stored_NB: np.ndarray) -> np.ndarray:
        return stored_NB.view(np.float32)


@dataclass(frozen=True)
class GlobalAffine(_Restoring):
    affine: Affine

    def encode(self, x_NE: np.ndarray) -> np.ndarray:
        return self.affine.pack(self.affine.quantize(x_NE))

    def decode(self, stored_NB: np.ndarray) -> np.ndarray:
        return self.affine.vectors(self.affine.unpack(stored_NB))


@dataclass(frozen=True)
class PerDimension(_Restoring):
    """int8 with 2 E shared numbers: middle and scale of each dimension."""

    middle_E: np.ndarray
    scale_E: np.ndarray

    @staticmethod
    def calibrated(x_NE: np.ndarray, seed: int) -> "PerDimension":
        """Every dimension spans the same quantiles of its own values; which, is chosen as for one scale."""

        def spanning(low_E: np.ndarray, high_E: np.ndarray) -> PerDimension:
            return PerDimension((low_E + high_E) / 2, np.maximum((high_E - low_E) / 255, np.float32(1e-12)))

        shares = [[(1 - quantile) / 2, (1 + quantile) / 2] for quantile in QUANTILES]
        candidates = [spanning(*ends_2E) for ends_2E in np.quantile(x_NE, shares, axis=0).astype(np.float32)]
        return keeping_most(x_NE, candidates, lambda code: code.decode(code.encode(x_NE)), seed)

    def encode(self, x_NE: np.ndarray) -> np.ndarray:
        return np.clip(np.round((x_NE - self.middle_E) / self.scale_E), -128, 127).astype(np.int8).view(np.uint8)

    def decode(self, stored_NB: np.ndarray) -> np.ndarray:
        return unit_length(stored_NB.view(np.int8).astype(np.float32) * self.scale_E + self.middle_E)


@dataclass(frozen=True)
class Rotated(_Restoring):
    """Another code behind a rotation, which changes no likeness."""

    rotation_EE: np.ndarray
    inner: GlobalAffine

    @staticmethod
    def calibrated(x_NE: np.ndarray, bits: int, seed: int) -> "Rotated":
        noise_EE = np.random.default_rng(seed).normal(size=(x_NE.shape[1],) * 2)
        rotation_EE = np.linalg.qr(noise_EE)[0].astype(np.float32)
        return Rotated(rotation_EE, GlobalAffine(calibrate(x_NE @ rotation_EE, bits, seed)))

    def encode(self, x_NE: np.ndarray) -> np.ndarray:
        return self.inner.encode(x_NE @ self.rotation_EE)

    def decode(self, stored_NB: np.ndarray) -> np.ndarray:
        return self.inner.decode(stored_NB) @ self.rotation_EE.T


@dataclass(frozen=True)
class Binary:
    """Signs, and with `fine` int8 codes behind them for the last ranking."""

    dim: int
    fine: GlobalAffine | None = None

    @property
    def sign_bytes(self) -> int:
        return -(-self.dim // 8)

    def encode(self, x_NE: np.ndarray) -> np.ndarray:
        signs = _signs(x_NE)
        return signs if self.fine is None else np.concatenate([signs, self.fine.encode(x_NE)], axis=1)

    def decode(self, stored_NB: np.ndarray) -> np.ndarray:
        if self.fine is not None:
            return self.fine.decode(np.ascontiguousarray(stored_NB[:, self.sign_bytes :]))
        return unit_length(self._ones(stored_NB))

    def search(
        self, queries_QE: np.ndarray, stored_NB: np.ndarray, k: int, excluded: list[np.ndarray] | None = None
    ) -> np.ndarray:
        """The Hamming distance h of two signs is read from their product, E - 2 h: whole numbers, exact in float32."""
        proposed = k if self.fine is None else CANDIDATES
        found = top_k(self._ones(_signs(queries_QE)), self._ones(stored_NB), proposed, excluded)[0]
        return found if self.fine is None else self._ranked(queries_QE, found, stored_NB)[:, :k]

    def _ones(self, stored_NB: np.ndarray) -> np.ndarray:
        """float32 (N, E): -1 and 1."""
        bits = np.unpackbits(stored_NB[:, : self.sign_bytes], axis=1, count=self.dim)
        return bits.astype(np.float32) * 2 - 1

    def _ranked(self, queries_QE: np.ndarray, rows_QK: np.ndarray, stored_NB: np.ndarray) -> np.ndarray:
        """The rows by likeness of their int8 codes; -1, which is none, goes last."""
        restored_NE, ranked = self.decode(stored_NB), np.empty_like(rows_QK)
        for start in range(0, len(rows_QK), BLOCK):
            rows_qK = rows_QK[start : start + BLOCK]
            likeness_qK = (restored_NE[rows_qK] @ queries_QE[start : start + BLOCK, :, None])[:, :, 0]
            order = np.argsort(np.where(rows_qK >= 0, -likeness_qK, np.inf), axis=1, kind="stable")
            ranked[start : start + BLOCK] = np.take_along_axis(rows_qK, order, axis=1)
        return ranked


def codes(x_NE: np.ndarray, seed: int) -> dict[str, Code]:
    """Every code above by name, each having learned from the vectors x_NE of training Pins."""
    int8, dim = GlobalAffine(calibrate(x_NE, 8, seed)), x_NE.shape[1]
    int4, rotated = GlobalAffine(calibrate(x_NE, 4, seed)), Rotated.calibrated(x_NE, 4, seed)
    per_dim, binary = PerDimension.calibrated(x_NE, seed), (Binary(dim), Binary(dim, int8))
    return dict(zip(NAMES, (Float32(), int8, per_dim, int4, rotated, *binary), strict=True))


def _signs(x_NE: np.ndarray) -> np.ndarray:
    return np.packbits(x_NE >= 0, axis=1)
