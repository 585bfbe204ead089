"""An immutable state of the index, which a reader keeps from the beginning of a search to its end; writers replace it.

A place is a row of the base, or, from len(base.ids) on, a row of the side table.

Shape legend: N rows of the base · M rows of the side table · Q queries · C candidates · K results · E vector dimension
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import faiss
import numpy as np
import pyarrow as pa

from serving.index.base import Base
from serving.index.selection import Selection
from serving.index.side_table import DELETED, SideTable
from serving.rows import VectorRows, as_ids

NOWHERE = -1


@dataclass(frozen=True)
class State:
    base: Base
    side: SideTable
    living_N: np.ndarray
    living_M: np.ndarray
    selector: faiss.IDSelector | None  # the living rows of the base; None: all

    @staticmethod
    def of(base: Base, deleted: Mapping[str, int]) -> "State":
        living_N, side = base.living(), SideTable(base.structure.affine, deleted)
        return State(base, side, living_N, np.empty(0, dtype=bool), _selector(living_N))

    def ids(self) -> set[str]:
        """Of living and dead rows, and of deletions."""
        return {*self.base.ids.to_pylist(), *self.side.ids, *self.side.changes}

    def place(self, pin_id: str) -> int:
        change = self.side.changes.get(pin_id)
        if change is None:
            return self.base.row(pin_id)
        return NOWHERE if change.row == DELETED else len(self.base.ids) + change.row

    def time(self, pin_id: str) -> int | None:
        """When the id was last stored or deleted, microseconds since 1970; None: never."""
        change = self.side.changes.get(pin_id)
        if change is not None:
            return change.time
        row = self.base.row(pin_id)
        return None if row == NOWHERE else int(self.base.times_N[row])

    def without(self, places: np.ndarray, appended: int = 0) -> "State":
        """The next state: these places are dead, and the side table has `appended` more rows."""
        size = len(self.base.ids)
        living_M = np.concatenate([self.living_M, np.ones(appended, dtype=bool)])
        living_M[places[places >= size] - size] = False
        rows = places[places < size]
        if not len(rows):
            return replace(self, living_M=living_M)
        living_N = self.living_N.copy()
        living_N[rows] = False
        return replace(self, living_N=living_N, living_M=living_M, selector=_selector(living_N))

    def search(
        self,
        queries_QE: np.ndarray,
        k: int,
        effort: int,
        exclude: Sequence[Collection[str]] | None,
        only: Selection | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(ids (Q, K) object, cosines (Q, K) float32), best first; None and -inf where there are no more."""
        count = k + max(map(len, exclude or ()), default=0)
        if only is None:
            rows_QC, scores_QC = self.base.search(queries_QE, count, effort, self.selector)
        else:
            found_N = self.living_N & self.base.selected(only)
            share = max(float(found_N.mean()), 1e-9) if len(found_N) else 1.0
            rows_QC, scores_QC = self.base.search(queries_QE, count, effort, _selector(found_N), share)
        side_QM, side_scores_QM = self._side_search(queries_QE, count, only)
        places = np.concatenate([rows_QC, side_QM], axis=1)
        scores = np.concatenate([scores_QC, side_scores_QM], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        ids, scores = self._names(np.take_along_axis(places, best, axis=1)), np.take_along_axis(scores, best, axis=1)
        ids[np.isneginf(scores)] = None
        return _padded(ids, scores, k, exclude)

    def vectors(self, ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(float32 (len(ids), E) of length 1, missing bool (len(ids),)); zeros where an id is unknown."""
        size, affine = len(self.base.ids), self.base.structure.affine
        places = np.array([self.place(pin_id) for pin_id in ids], dtype=np.int64)
        vectors = np.zeros((len(ids), affine.dim), dtype=np.float32)
        of_base, of_side = (places >= 0) & (places < size), places >= size
        vectors[of_base] = affine.vectors(self.base.structure[places[of_base]])
        vectors[of_side] = self.side.vectors_ME[places[of_side] - size]
        return vectors, places == NOWHERE

    def stored(self, ids: Sequence[str]) -> VectorRows:
        """The rows of those ids that have one, in their order."""
        size = len(self.base.ids)
        places = {pin_id: place for pin_id in ids if (place := self.place(pin_id)) != NOWHERE}
        codes_NE = np.empty((len(places), self.base.structure.affine.dim), dtype=np.int8)
        for row, place in enumerate(places.values()):
            of_base = place < size
            codes_NE[row] = self.base.structure[np.array([place])][0] if of_base else self.side.codes_ME[place - size]
        times_N = np.array([self.time(pin_id) for pin_id in places], dtype=np.int64)
        return VectorRows(as_ids(list(places)), codes_NE, times_N)

    def _side_search(self, queries_QE: np.ndarray, count: int, only: Selection | None) -> tuple[np.ndarray, np.ndarray]:
        size = len(self.living_M)
        found_M = (
            self.living_M & only.mask(as_ids(self.side.ids[:size])) if only is not None and size else self.living_M
        )
        scores_QM = queries_QE @ self.side.vectors_ME[:size].T
        scores_QM[:, ~found_M] = -np.inf
        rows_QC = np.broadcast_to(np.arange(scores_QM.shape[1]), scores_QM.shape)
        if count < scores_QM.shape[1]:
            rows_QC = np.argpartition(-scores_QM, count, axis=1)[:, :count]
        return rows_QC + len(self.base.ids), np.take_along_axis(scores_QM, rows_QC, axis=1)

    def _names(self, places_QC: np.ndarray) -> np.ndarray:
        size, flat = len(self.base.ids), places_QC.ravel()
        names = np.empty(len(flat), dtype=object)
        in_base = (flat >= 0) & (flat < size)
        names[in_base] = self.base.ids.take(pa.array(flat[in_base])).to_pylist()
        for position in np.flatnonzero(flat >= size):
            names[position] = self.side.ids[flat[position] - size]
        return names.reshape(places_QC.shape)


def _selector(living_N: np.ndarray) -> faiss.IDSelector | None:
    return None if living_N.all() else faiss.IDSelectorBitmap(np.packbits(living_N, bitorder="little"))


def _padded(
    ids_QC: np.ndarray, scores_QC: np.ndarray, k: int, exclude: Sequence[Collection[str]] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The first k that are not excluded."""
    ids = np.full((len(ids_QC), k), None, dtype=object)
    scores = np.full((len(ids_QC), k), -np.inf, dtype=np.float32)
    for query, row in enumerate(ids_QC):
        gone = exclude[query] if exclude else ()
        kept = [place for place, pin_id in enumerate(row) if pin_id is not None and pin_id not in gone][:k]
        ids[query, : len(kept)], scores[query, : len(kept)] = row[kept], scores_QC[query, kept]
    return ids, scores
