"""How the stored bytes of a space become vectors: one scale and one zero point for all of them.

    x = scale * (code - zero_point), brought to length 1

Shape legend: N vectors · E vector dimension · B bytes of a stored vector
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Codes:
    """Of one space."""

    scale: float
    zero_point: int
    bits: int  # 8, or 4: two codes in a byte, the first in its low half
    dim: int

    @staticmethod
    def of(fields: Mapping[str, Any]) -> "Codes":
        """Reads them among the fields of a space."""
        return Codes(float(fields["scale"]), int(fields["zero_point"]), int(fields["bits"]), int(fields["dim"]))

    @property
    def size(self) -> int:
        """B."""
        return -(-self.dim * self.bits // 8)

    def vectors(self, stored_NB: np.ndarray) -> np.ndarray:
        """float32 (N, E) of length 1 from uint8 (N, B)."""
        codes_NE = stored_NB.view(np.int8)
        if self.bits == 4:
            halves = np.stack([stored_NB << 4, stored_NB & 0xF0], axis=2).view(np.int8) >> 4  # keeps the sign
            codes_NE = halves.reshape(len(stored_NB), -1)[:, : self.dim]
        x_NE = np.float32(self.scale) * (codes_NE.astype(np.float32) - np.float32(self.zero_point))
        lengths_N1 = np.linalg.norm(x_NE, axis=1, keepdims=True)
        return x_NE / np.where(lengths_N1 > 0, lengths_N1, 1)
