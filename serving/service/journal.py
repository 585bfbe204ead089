"""The journal: Pins accepted since the last snapshot of the index, one a line, for restarts and other services on the
folder.

    <folder>/1763740800000000000-3f2a.jsonl     lines.py beside this: one Pin a line, each with its checksum
    <shards>/pushed-<name of the file>.parquet   what became of it: pin_id · vector · event_timestamp · created

A service that was killed finds what it accepted; services beside each other find what the others accept. Each writes a
file of its own, which it holds locked. After a snapshot of the index a file becomes a shard beside those of the
publication, so that training sets see what was pushed, from its time on. What follows the last line end was never
answered, for a kill has cut it off or it is being written: it does not count, and the online store may have it.

Shape legend: N Pins · B bytes of a stored vector
"""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.data.forgotten import Forgotten
from model.embedding.affine import Affine
from model.embedding.columns import as_binary
from model.errors import VectorIndexError
from model.files import lock_descriptor
from serving.rows import VectorRows, joined, lost_rows, read_rows, write_rows
from serving.service.lines import as_lines, damaged, pending, pending_ids, read_lines

Lose = Callable[[str], None]


def refuse(damage: str) -> None:
    raise VectorIndexError(damage)


class Journal:
    """One thread at a time."""

    def __init__(self, folder: Path, shards: Path, affine: Affine, lose: Lose = refuse) -> None:
        """lose: is told of what cannot be read, as a sentence; where it returns, the rest is taken without it."""
        self.folder, self.shards, self.affine, self.lose = folder, shards, affine, lose
        folder.mkdir(parents=True, exist_ok=True)
        self.forgotten = Forgotten()  # no Pin of these becomes a row of a shard
        self._whole: set[str] = set()  # shards with erased rows that were read anew
        self._settled: set[str] = set()  # names of files that have no pending lines, or none any more
        self._known: dict[str, int] = {}  # rows that this process has written or read, by the name of the file
        self._begin()

    @contextmanager
    def entry(self, ids: Sequence[str], packed_NB: np.ndarray, times_N: np.ndarray) -> Iterator[Callable[[], None]]:
        """Writes pending lines, and yields what makes them count; if the block fails, nothing of them is left.

        Once they count the operating system has them: they survive a kill of this process, but not of the machine. A
        full disk is noticed before the block begins. A kill within the block leaves them pending: see settle().

        Raises:
            OSError: there is no room.
        """
        lines = as_lines(ids, packed_NB, times_N)
        start, file = self._end, self.opened.fileno()
        try:
            _write(file, pending(lines), start)
            yield lambda: _write(file, lines, start)
        except BaseException:
            os.ftruncate(file, start)
            raise
        self._end += len(lines)
        self._known[self._name] += len(ids)

    def append(self, ids: Sequence[str], packed_NB: np.ndarray, times_N: np.ndarray) -> None:
        """Writes lines that nothing else depends on."""
        with self.entry(ids, packed_NB, times_N) as write:
            write()

    def news(self) -> VectorRows:
        """What others have accepted since the last call, newest last; the first call returns everything.

        Raises:
            VectorIndexError: a line or a shard is damaged, and `lose` does not let it go.
        """
        return joined([self._none, *(self._unread(name) for name in sorted(self._names()) if name != self._name)])

    def turn(self) -> list[Path]:
        """Begins a new file; returns those that nobody writes to any more and that are settled."""
        before = self.opened
        self._settled.add(self._name)
        self._begin()
        before.close()
        return self.settled()

    def closed(self) -> list[Path]:
        """The files that nobody writes to any more."""
        return [file for file in self.folder.glob("*.jsonl") if not is_locked(file)]

    def settled(self) -> list[Path]:
        """The closed files that can become shards."""
        return [file for file in self.closed() if file.stem in self._settled]

    def settle(self, take_back: Callable[[list[str]], bool]) -> None:
        """Takes back what killed processes left pending; where `take_back` returns False, the next call tries again."""
        for file in self.closed():
            if file.stem not in self._settled:
                with suppress(FileNotFoundError):  # another service has made it a shard
                    ids = pending_ids(file, self.affine)
                    if not ids or take_back(ids):
                        self._settled.add(file.stem)

    def become_shard(self, file: Path) -> None:
        """Moves a closed file's Pins into a shard; repeated after a kill, it loses and doubles nothing.

        A file with damaged lines is kept as <name>.damaged, once `lose` was told of them.
        """
        lost: list[str] = []
        whole = read_lines(file, self.affine, lost.append)
        for damage in lost:
            self.lose(damage)
        rows = whole.take(np.flatnonzero(~self.forgotten.mask(whole.ids).to_numpy(zero_copy_only=False)))
        if len(rows):
            vectors, ids = as_binary(self.affine.pack(rows.codes_NE)), rows.ids.cast(pa.string())
            shard, now = self.shards / f"pushed-{file.stem}.parquet", datetime.now(UTC)
            write_rows(shard, ids, vectors, rows.times_N, now, erased=len(rows) < len(whole))
        if lost:
            file.replace(file.with_suffix(".damaged"))
        else:
            file.unlink()

    def end(self) -> None:
        """Removes this process's own file if nothing was written to it."""
        self.opened.close()
        file = self.folder / f"{self._name}.jsonl"
        if file.is_file() and not file.stat().st_size:
            file.unlink()

    def _begin(self) -> None:
        name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"
        beginning = self.folder / f"{name}.new"
        opened = beginning.open("xb", buffering=0)
        lock_descriptor(opened.fileno())
        beginning.rename(self.folder / f"{name}.jsonl")  # nobody sees it before it is locked, and takes it for closed
        self._name, self.opened, self._end = name, opened, 0  # at once: where there is no room, the old one goes on
        self._known[name] = 0

    def _names(self) -> Iterator[str]:
        """The names of all files and of all that became shards."""
        yield from {file.stem for file in self.folder.glob("*.jsonl")}
        yield from {file.stem.removeprefix("pushed-") for file in self.shards.glob("pushed-*.parquet")}

    def _unread(self, name: str) -> VectorRows:
        known, shard, rows = self._known.get(name, 0), self.shards / f"pushed-{name}.parquet", self._none
        try:
            if shard.is_file() and name not in self._whole and lost_rows(shard):
                rows = read_rows(shard, self.affine)
                self._whole.add(name)  # its rows are no longer those of the journal's lines
                known = 0
            elif shard.is_file() and pq.read_metadata(shard).num_rows > known:
                rows = read_rows(shard, self.affine)
            elif not shard.is_file():
                with suppress(FileNotFoundError):  # it becomes a shard just now, and is read as that the next time
                    rows = read_lines(self.folder / f"{name}.jsonl", self.affine, self.lose)
        except (VectorIndexError, pa.ArrowInvalid, OSError) as error:
            if not shard.is_file():
                raise
            self.lose(str(error) if isinstance(error, VectorIndexError) else damaged(shard, f"({error})"))
        self._known[name] = max(known, len(rows))
        return rows.take(np.arange(known, len(rows)))

    @property
    def _none(self) -> VectorRows:
        return VectorRows(pa.array([], pa.large_string()), np.empty((0, self.affine.dim), np.int8), np.empty(0, int))


def _write(file: int, data: bytes, at: int) -> None:
    """All of it; the operating system may take less at a time."""
    done = 0
    while done < len(data):
        done += os.pwrite(file, data[done:], at + done)


def is_locked(file: Path) -> bool:
    with file.open("rb") as opened:
        return not lock_descriptor(opened.fileno())
