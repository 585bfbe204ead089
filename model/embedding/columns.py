"""Vectors that stay on disk: a column of Parquet shards, read a part at a time.

    pins = VectorColumn.stored(sorted((vectors / "pins").glob("*.parquet")), "pin")
    pins[rows]                                            # a few rows
    top_k_of_blocks(queries, pins.blocks(rows), 10)       # all of them, one part in memory

Shape legend: N vectors · n vectors of a part · E vector dimension · B bytes of a stored vector
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HELD = 4  # parts: a column of no more stays in memory, once it is read, as long as the column itself


@dataclass(frozen=True)
class VectorColumn:
    """starts: the first row of every part, and N; part(i) reads part i, float32 (n, E)."""

    starts: np.ndarray
    part: Callable[[int], np.ndarray]

    @staticmethod
    def of(matrix_NE: np.ndarray) -> "VectorColumn":
        return VectorColumn(np.array([0, len(matrix_NE)]), lambda part: matrix_NE)

    @staticmethod
    def stored(shards: Sequence[Path], name: str) -> "VectorColumn":
        """The column `name` of the shards; its parts are their row groups."""
        metadata = [(path, pq.read_metadata(path)) for path in shards]
        groups = [(path, group) for path, about in metadata for group in range(about.num_row_groups)]
        lengths = [about.row_group(group).num_rows for _, about in metadata for group in range(about.num_row_groups)]

        def part(number: int) -> np.ndarray:
            path, group = groups[number]
            with pq.ParquetFile(path) as file:
                return as_matrix(file.read_row_group(group, columns=[name])[name].combine_chunks())

        return VectorColumn(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]), _held(part, len(groups)))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """(len(rows), E) in memory; rows in any order."""
        distinct, place = np.unique(rows, return_inverse=True)
        blocks = list(self.blocks(distinct))
        return np.concatenate(blocks)[place] if blocks else np.zeros((0, 0), dtype=np.float32)

    def blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """The vectors of rising rows in their order, one part of the column at a time."""
        yield from (block for _, block in self.blocks_of([rows]))

    def blocks_of(self, selections: Sequence[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
        """(number of the selection, its next block): as `blocks` of each, while every part is read once for all."""
        bounds = [np.searchsorted(rows, self.starts) for rows in selections]
        for part, start in enumerate(self.starts[:-1]):
            wanted = [slice(*bound[part : part + 2]) for bound in bounds]
            if any(rows.stop > rows.start for rows in wanted):
                vectors_nE = self.part(part)
                for number, rows in enumerate(wanted):
                    if rows.stop > rows.start:
                        yield number, vectors_nE[selections[number][rows] - start]

    def map(self, change: Callable[..., np.ndarray], *others: "VectorColumn") -> "VectorColumn":
        """The column change(part, part of the others, …), computed as it is read; all have the same parts."""

        def part(number: int) -> np.ndarray:
            return change(self.part(number), *(other.part(number) for other in others))

        return VectorColumn(self.starts, _held(part, len(self.starts) - 1))


def _held(part: Callable[[int], np.ndarray], parts: int) -> Callable[[int], np.ndarray]:
    return cache(part) if parts <= HELD else part


def as_matrix(column: pa.FixedSizeListArray) -> np.ndarray:
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)


def as_binary(packed_NB: np.ndarray) -> pa.BinaryArray:
    """The rows of a matrix of bytes, uint8, one value each."""
    offsets = np.arange(len(packed_NB) + 1, dtype=np.int32) * packed_NB.shape[1]
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(packed_NB), [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(packed_NB))]
    )
