"""The immutable rows of an index: a faiss structure and the Pin of each row. Changes lie beside it (side_table.py).

A row whose Pin was changed or deleted later stays where it is and is no longer found: it is dead. merged() appends the
rows that are new, or, where too many are dead, builds all anew.

Shape legend: N rows · L living rows · n new rows · Q queries · C candidates · E vector dimension
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.embedding.affine import Affine
from serving.index.config import IndexConfig
from serving.index.selection import Selection
from serving.index.structures import STRUCTURES, Structure
from serving.rows import VectorRows

RESCORED = 3  # candidates that are ranked exactly, for each result, at least
BLOCK = 16  # queries whose candidates are float32 at once: what the processor's cache holds
SCANNED = 0.3  # share of the rows that may be found, below which all are compared (benchmarks/index_questions.py)
KEPT = 32  # selections


@dataclass(frozen=True)
class Base:
    structure: Structure
    ids: pa.LargeStringArray  # (N,)
    times_N: np.ndarray
    rows_L: np.ndarray  # the living rows in the order of their ids

    @staticmethod
    def build(rows: VectorRows, affine: Affine, config: IndexConfig) -> "Base":
        structure = STRUCTURES[config.kind].build(rows.codes_NE, affine, config)
        return Base(structure, rows.ids, rows.times_N, _by_id(rows.ids, np.arange(len(rows.ids))))

    def merged(self, living_N: np.ndarray, new: VectorRows, config: IndexConfig) -> "Base":
        """A base with the new rows that no longer finds the dead ones."""
        alive, dead = np.count_nonzero(living_N), np.count_nonzero(~living_N)
        if dead > config.rebuild_share * (len(living_N) + len(new.ids)) and alive + len(new.ids):
            return self.rebuilt(living_N, new, config)
        structure = self.structure.owned().added(new.codes_NE) if len(new.ids) else self.structure
        ids, times_N = pa.concat_arrays([self.ids, new.ids]), np.concatenate([self.times_N, new.times_N])
        rows = np.concatenate([np.flatnonzero(living_N), np.arange(len(self.ids), len(ids))])
        return Base(structure, ids, times_N, _by_id(ids, rows))

    def rebuilt(self, living_N: np.ndarray, new: VectorRows, config: IndexConfig) -> "Base":
        """A base of the living rows and the new ones alone: of the dead nothing stays, neither vectors nor ids."""
        return Base.build(self._kept(living_N, new), self.structure.affine, config)

    def row(self, pin_id: str) -> int:
        """-1 for an id that has none."""
        place = bisect_left(self.rows_L, pin_id, key=lambda row: self.ids[int(row)].as_py())
        found = int(self.rows_L[place]) if place < len(self.rows_L) else -1
        return found if found >= 0 and self.ids[found].as_py() == pin_id else -1

    def living(self) -> np.ndarray:
        living_N = np.zeros(len(self.ids), dtype=bool)
        living_N[self.rows_L] = True
        return living_N

    @cached_property
    def selected(self) -> Callable[[Selection], np.ndarray]:
        """Bool (N,), the rows of the Pins that a selection chooses; those asked for last are kept."""
        ids = self.ids
        return lru_cache(KEPT)(lambda only: only.mask(ids))

    def search(
        self, queries_QE: np.ndarray, count: int, effort: int, selector: faiss.IDSelector | None, share: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """(rows, cosines) (Q, C) of at least the `count` best rows found, in no order; cosine -inf is no row.

        share: of the rows, those that the selector lets through. A structure meets all rows on its way and keeps
        those: the fewer they are, the longer it has to look, until comparing them all is less work. They may lie far
        from the query, as the Pins of another category do, so it looks longer than their share alone asks for.

        All that a graph holds in the end (effort) are candidates: it compares codes, whose lengths differ by rounding,
        and beside words, which are far from every Pin, that differs as much as the cosines of the nearest do.
        """
        wanted = min(max(RESCORED * count, effort), len(self.ids))
        rows_QC = np.empty((len(queries_QE), wanted), dtype=np.int64)
        if rows_QC.size and selector is not None and share < SCANNED:
            rows_QC = self.structure.scanned(queries_QE, wanted, selector)
        elif rows_QC.size:
            rows_QC = self.structure.candidates(queries_QE, wanted, round(effort / share**2), selector)
        return rows_QC, self._cosines(queries_QE, rows_QC)

    def _cosines(self, queries_QE: np.ndarray, rows_QC: np.ndarray) -> np.ndarray:
        scores_QC = np.empty(rows_QC.shape, dtype=np.float32)
        zero_point = np.float32(self.structure.affine.zero_point)
        for start in range(0, len(rows_QC), BLOCK):
            part = slice(start, start + BLOCK)
            x_bCE = self.structure[rows_QC[part]].astype(np.float32)
            if zero_point:
                x_bCE -= zero_point
            lengths_bC = np.sqrt(np.vecdot(x_bCE, x_bCE))  # the scale of the code goes with them
            dots_bC = np.matmul(x_bCE, queries_QE[part, :, None])[..., 0]
            scores_QC[part] = np.divide(dots_bC, lengths_bC, out=np.zeros_like(dots_bC), where=lengths_bC > 0)
        scores_QC[rows_QC < 0] = -np.inf
        return scores_QC

    def _kept(self, living_N: np.ndarray, new: VectorRows) -> VectorRows:
        rows = np.flatnonzero(living_N)
        return VectorRows(
            pa.concat_arrays([self.ids.take(pa.array(rows)), new.ids]),
            np.concatenate([self.structure[rows], new.codes_NE]),
            np.concatenate([self.times_N[rows], new.times_N]),
        )


def _by_id(ids: pa.LargeStringArray, rows: np.ndarray) -> np.ndarray:
    return rows[pc.sort_indices(ids.take(pa.array(rows))).to_numpy()]
