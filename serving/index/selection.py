"""Which Pins a search may find."""

from typing import Protocol

import numpy as np
import pyarrow as pa


class Selection(Protocol):
    """Hashable: an index looks its rows up once and keeps them."""

    def __hash__(self) -> int: ...

    def mask(self, ids: pa.LargeStringArray) -> np.ndarray:
        """bool (N,): which of these Pins it chooses."""
