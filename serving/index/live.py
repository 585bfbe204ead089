"""PinIndex: finds the nearest Pins of a vector in one embedding space, while Pins are added, changed and deleted.

    index = PinIndex.of_published(SpaceManifest.read(feast_home, "v7"), IndexConfig("hnsw"))
    ids, cosines = index.search(vectors, k=10, exclude=[["p1"]])
    index.upsert(["p1"], affine.quantize(vectors), [datetime.now(UTC)])
    index.save(folder)
    PinIndex.open(folder, "v7")

Any number of threads may read while others write: a reader takes one State and keeps it. Changes go to a small table
that is searched exactly (serving/index/side_table.py); save() merges it. Changes that were not saved are lost when the
process ends.

Shape legend: N vectors · Q queries · K results · E vector dimension
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import numpy as np

from model.embedding.affine import Affine
from model.errors import VectorIndexError
from serving.index import storage
from serving.index.base import Base
from serving.index.checks import checked_codes, checked_ids, checked_times, checked_vectors
from serving.index.config import IndexConfig
from serving.index.selection import Selection
from serving.index.side_table import DELETED, PinChange
from serving.index.state import State
from serving.rows import VectorRows, joined, newest_each
from serving.space import SpaceManifest

Write = tuple[list[str], np.ndarray | None, np.ndarray]  # ids, their codes (None: deleted), event times


class PinIndex:
    def __init__(self, base: Base, deleted: dict[str, int], space: str, config: IndexConfig) -> None:
        self.space, self.config, self.affine = space, config, base.structure.affine
        self._state = State.of(base, deleted)
        self._writing, self._saving = Lock(), Lock()
        self._journal: list[Write] | None = None  # what is written while a save runs

    @classmethod
    def build(cls, batches: Iterable[VectorRows], space: str, affine: Affine, config: IndexConfig) -> "PinIndex":
        """Where an id comes twice, the newest vector counts.

        Raises:
            VectorIndexError: there are no vectors, an id has two of the same time, or codes have another length.
        """
        parts = list(batches)
        if not sum(len(part.ids) for part in parts):
            raise VectorIndexError(f"There are no vectors to build the index of the space {space} from.")
        for part in parts:
            checked_codes(part.codes_NE, len(part.ids), affine)
        return cls(Base.build(newest_each(joined(parts)), affine, config), {}, space, config)

    @classmethod
    def of_published(
        cls, space: SpaceManifest, config: IndexConfig, lose: Callable[[VectorIndexError], None] | None = None
    ) -> "PinIndex":
        """The index of all vectors that publications and pushes have stored for a space.

        lose: is told of a shard that cannot be read, which is then left out.

        Raises:
            VectorIndexError: as build(); or the shards and the manifest disagree.
        """
        return cls.build(space.rows(lose=lose), space.name, space.affine, config)

    @classmethod
    def open(cls, folder: Path, space: str) -> "PinIndex":
        """A saved index, memory-mapped. One that was opened stays whole when its folder is saved over.

        Raises:
            VectorIndexError: it is missing, corrupt, or of another space.
        """
        saved = storage.read(folder, space)
        return cls(saved.base, saved.deleted, space, saved.config)

    def search(
        self,
        vectors_QE: np.ndarray,
        k: int,
        exclude: Sequence[Collection[str]] | None = None,
        effort: int | None = None,
        only: Selection | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """(ids (Q, K) of str, cosines (Q, K) float32), best first; None and -inf where there are no more.

        exclude: for each query, ids that it must not find; effort: instead of the configuration's; only: the Pins
        that may be found.

        Raises:
            VectorIndexError: vectors of the wrong length, with NaN, k < 1, or exclude not as long as the queries.
        """
        queries_QE = checked_vectors(vectors_QE, self.affine.dim)
        effort = self.config.effort if effort is None else effort
        if min(k, effort) < 1:
            raise VectorIndexError(f"k is {k} and effort {effort}; ask for at least 1.")
        if exclude is not None and len(exclude) != len(queries_QE):
            raise VectorIndexError(
                f"exclude has {len(exclude)} entries for {len(queries_QE)} queries; give one for each."
            )
        return self._state.search(queries_QE, k, effort, exclude, only)

    def vectors(self, ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(float32 (N, E) of length 1, missing bool (N,)); zeros where an id is unknown."""
        return self._state.vectors(ids)

    def newer(self, ids: Sequence[str], event_times: np.ndarray) -> set[str]:
        """The ids whose stored vector or deletion is newer than this time (datetime64, one each): upsert() would leave
        them unchanged."""
        state, times_N = self._state, checked_times(event_times, len(ids))
        known = ((pin_id, state.time(pin_id), time) for pin_id, time in zip(ids, times_N.tolist(), strict=True))
        return {pin_id for pin_id, stored, time in known if stored is not None and stored > time}

    def stored(self, ids: Sequence[str]) -> VectorRows:
        """The codes and times of those ids that have a vector."""
        return self._state.stored(ids)

    def upsert(
        self, ids: Sequence[str], codes_NE: np.ndarray, event_times: Sequence[datetime] | np.ndarray
    ) -> list[str]:
        """Stores codes; they can be found when it returns. Where an id comes twice, the newest counts, of equally new
        ones the last.

        Returns the ids that were left unchanged, because the stored vector or the deletion is newer.

        Raises:
            VectorIndexError: nothing was stored: codes, ids and times do not fit each other or the space.
        """
        ids = checked_ids(ids)
        return self._write(ids, checked_codes(codes_NE, len(ids), self.affine), checked_times(event_times, len(ids)))

    def delete(self, ids: Sequence[str], event_times: Sequence[datetime] | np.ndarray | None = None) -> list[str]:
        """Deletes Pins; an older push that arrives later does not bring one back. event_times: now, unless given.

        Returns the ids that were not there, and those left because the stored vector is newer.
        """
        ids = checked_ids(ids)
        times = [datetime.now(UTC)] * len(ids) if event_times is None else event_times
        return self._write(ids, None, checked_times(times, len(ids)))

    def forget(self, ids: Collection[str]) -> int:
        """Removes Pins without a trace: their rows, ids and times of deletion; builds the rest anew. Nobody finds them
        from the first moment on.

        Returns how many of them there were.
        """
        with self._saving:
            with self._writing:
                gone = sorted(set(ids) & self._state.ids())
                if not gone:
                    return 0
                self._apply(gone, None, np.full(len(gone), np.iinfo(np.int64).max))
                state, self._journal = self._state, []
                new = state.side.living()
                deleted = {pin_id: time for pin_id, time in state.side.deleted().items() if pin_id not in set(gone)}
            try:
                self._go_on_from(State.of(state.base.rebuilt(state.living_N, new, self.config), deleted))
            finally:
                self._journal = None
        return len(gone)

    def ids(self) -> set[str]:
        """Every id that the index holds in any way, the deleted ones too."""
        return self._state.ids()

    def __len__(self) -> int:
        state = self._state
        return int(np.count_nonzero(state.living_N) + np.count_nonzero(state.living_M))

    @property
    def unsaved(self) -> int:
        """Rows of the side table, which every search compares one by one: save() when they are many."""
        return len(self._state.living_M)

    def save(self, folder: Path) -> None:
        """Merges all changes and replaces the folder's snapshot at once; reads and writes go on meanwhile.

        An effort that a promotion has raised in the folder meanwhile stays, and counts here from now on.
        """
        with self._saving:
            effort = max(self.config.effort, storage.saved_effort(folder))
            self.config = replace(self.config, effort=effort)
            with self._writing:
                state, self._journal = self._state, []
                new, deleted = state.side.living(), state.side.deleted()
            try:
                base = state.base.merged(state.living_N, new, self.config)
                storage.write(folder, storage.Saved(base, deleted, self.config), self.space)
                self._go_on_from(State.of(base, deleted))
            finally:
                self._journal = None

    def _go_on_from(self, merged: State) -> None:
        """Repeats the writes made while the state was merged; their times make the repetition harmless."""
        with self._writing:
            missed, self._journal, self._state = self._journal or [], None, merged
            for write in missed:
                self._apply(*write)

    def _write(self, ids: list[str], codes_NE: np.ndarray | None, times_N: np.ndarray) -> list[str]:
        with self._writing:
            if self._journal is not None:
                self._journal.append((ids, None if codes_NE is None else codes_NE.copy(), times_N))
            return self._apply(ids, codes_NE, times_N)

    def _apply(self, ids: list[str], codes_NE: np.ndarray | None, times_N: np.ndarray) -> list[str]:
        state, newest = self._state, _newest(ids, times_N)
        known = {pin_id: state.time(pin_id) for pin_id in newest}
        taken = {i: n for i, n in newest.items() if (time := known[i]) is None or times_N[n] >= time}
        places = {pin_id: state.place(pin_id) for pin_id in taken}
        rows: Iterable[int] = [DELETED] * len(taken)
        if codes_NE is not None:
            rows = state.side.append(list(taken), codes_NE[list(taken.values())])
        state.side.changes.update(
            {pin_id: PinChange(int(times_N[n]), row) for (pin_id, n), row in zip(taken.items(), rows, strict=True)}
        )
        dead = np.array([place for place in places.values() if place >= 0], dtype=np.int64)
        self._state = state.without(dead, 0 if codes_NE is None else len(taken))
        return [i for i in newest if i not in taken or (codes_NE is None and places[i] < 0)]


def _newest(ids: list[str], times_N: np.ndarray) -> dict[str, int]:
    """The position of each id in the batch; where it comes twice, that of the newest, of equally new ones the last."""
    newest: dict[str, int] = {}
    for place, pin_id in enumerate(ids):
        if pin_id not in newest or times_N[place] >= times_N[newest[pin_id]]:
            newest[pin_id] = place
    return newest
