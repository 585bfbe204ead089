"""The side table: changes since the base was built, searched exactly, and the last change of every id.

Rows are only ever appended: a reader that knows how many there were sees them unchanged while a writer adds more.

Shape legend: M rows, of which n are new · E vector dimension
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from model.embedding.affine import Affine
from serving.rows import VectorRows, as_ids

ROOM = 64  # rows of an empty table
DELETED = -1


class PinChange(NamedTuple):
    time: int  # microseconds since 1970
    row: int  # of the side table, or DELETED


class SideTable:
    def __init__(self, affine: Affine, deleted: Mapping[str, int]) -> None:
        """deleted: ids with their time of deletion, which no older push may bring back."""
        self.affine = affine
        self.changes = {pin_id: PinChange(time, DELETED) for pin_id, time in deleted.items()}
        self.ids: list[str] = []
        self.codes_ME = np.empty((ROOM, affine.dim), dtype=np.int8)  # with room for more
        self.vectors_ME = np.empty((ROOM, affine.dim), dtype=np.float32)

    def append(self, ids: Sequence[str], codes_nE: np.ndarray) -> range:
        """Appends the vectors and returns their rows."""
        first, last = len(self.ids), len(self.ids) + len(ids)
        if last > len(self.codes_ME):
            self.codes_ME, self.vectors_ME = _grown(self.codes_ME, last), _grown(self.vectors_ME, last)
        self.codes_ME[first:last] = codes_nE
        self.vectors_ME[first:last] = self.affine.vectors(codes_nE)
        self.ids.extend(ids)
        return range(first, last)

    def living(self) -> VectorRows:
        """A copy of the newest row of every id that has one."""
        kept = [(pin_id, change) for pin_id, change in self.changes.items() if change.row != DELETED]
        rows = np.array([change.row for _, change in kept], dtype=np.int64)
        times = np.array([change.time for _, change in kept], dtype=np.int64)
        return VectorRows(as_ids([pin_id for pin_id, _ in kept]), self.codes_ME[rows], times)

    def deleted(self) -> dict[str, int]:
        return {pin_id: change.time for pin_id, change in self.changes.items() if change.row == DELETED}


def _grown(table: np.ndarray, least: int) -> np.ndarray:
    """A new table of twice the room; readers keep the old one."""
    room = np.empty((max(least, 2 * len(table)), table.shape[1]), dtype=table.dtype)
    room[: len(table)] = table
    return room
