"""The global affine code: one scale and one zero point for the whole table (PinCLIP), and its bytes.

    x_q  = clip(round(x / s) + z, low, high)        int8: low = -128, high = 127;  4 bits: -8 … 7
    x_dq = s (x_q - z)

Rounding changes a vector's length, and a dot product would count that as similarity, so x_dq is normalised again before
vectors are compared. This needs no extra byte. Of two 4-bit codes in a byte the first stands in the low half.

Shape legend: N vectors · E vector dimension · B bytes of a stored vector
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FURTHEST, MOST = 2**24, 65_536  # zero point, dimensions


@dataclass(frozen=True)
class Affine:
    scale: float
    zero_point: int
    bits: int
    dim: int

    @staticmethod
    def of(fields: Mapping[str, Any]) -> "Affine":
        """Reads the fields of a JSON file, or of Feast tags, whose values are text; other fields are ignored.

        Raises:
            KeyError, ValueError: one is missing, no number, or none that makes a code.
        """
        scale, zero_point, bits, dim = (float(fields[name]) for name in ("scale", "zero_point", "bits", "dim"))
        if not (0 < scale < math.inf and abs(zero_point) <= FURTHEST and bits in (4, 8) and 1 <= dim <= MOST):
            raise ValueError(f"no code has scale {scale}, zero point {zero_point}, {bits} bits and {dim} dimensions")
        return Affine(scale, int(zero_point), int(bits), int(dim))

    @property
    def bytes_per_pin(self) -> int:
        """B: 4-bit codes stand two in a byte, the last alone where the dimension is odd."""
        return -(-self.dim * self.bits // 8)

    def quantize(self, x_NE: np.ndarray) -> np.ndarray:
        """int8 codes (N, E)."""
        low, high = -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1
        return np.clip(np.round(x_NE / self.scale) + self.zero_point, low, high).astype(np.int8)

    def dequantize(self, codes_NE: np.ndarray) -> np.ndarray:
        """float32 (N, E)."""
        return np.float32(self.scale) * (codes_NE.astype(np.float32) - np.float32(self.zero_point))

    def pack(self, codes_NE: np.ndarray) -> np.ndarray:
        """uint8 (N, B), the bytes that are stored: of two 4-bit codes the first stands in the low half."""
        return codes_NE.view(np.uint8) if self.bits == 8 else pack_nibbles(codes_NE)

    def unpack(self, packed_NB: np.ndarray) -> np.ndarray:
        """int8 codes (N, E)."""
        return packed_NB.view(np.int8) if self.bits == 8 else unpack_nibbles(packed_NB, self.dim)

    def vectors(self, codes_NE: np.ndarray) -> np.ndarray:
        """float32 (N, E): dequantized and brought back to length 1, to be compared."""
        return unit_length(self.dequantize(codes_NE))


def pack_nibbles(codes_NE: np.ndarray) -> np.ndarray:
    """uint8 (N, ceil(E / 2)) from 4-bit codes: dimension 0 in the low half of byte 0, dimension 1 in its high half."""
    even = np.pad(codes_NE, ((0, 0), (0, codes_NE.shape[1] % 2))).view(np.uint8) & 0xF
    return even[:, ::2] | even[:, 1::2] << 4


def unpack_nibbles(packed_NB: np.ndarray, dim: int) -> np.ndarray:
    """int8 codes (N, dim), -8 … 7; the inverse of pack_nibbles."""
    halves = np.stack([packed_NB << 4, packed_NB & 0xF0], axis=2).view(np.int8) >> 4  # the shift keeps the sign
    return halves.reshape(len(packed_NB), -1)[:, :dim]


def unit_length(x_NE: np.ndarray) -> np.ndarray:
    """float32 (N, E) of length 1; a vector of zeros stays zero."""
    lengths = np.linalg.norm(x_NE, axis=1, keepdims=True)
    return np.divide(x_NE, lengths, out=np.zeros_like(x_NE), where=lengths > 0)


def read_affine(quantized: Path) -> Affine:
    return Affine.of(json.loads((quantized / "quantization.json").read_text(encoding="utf-8")))
