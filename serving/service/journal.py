"""The journal: Pins accepted since the last snapshot of the index, one a line, for restarts and other services on the
folder.

    <folder>/1763740800000000000-3f2a.jsonl     {"pin_id": "p1", "time": 1763740800000000, "vector": "<base64>"}
    <shards>/pushed-<name of the file>.parquet   what became of it: pin_id · vector · event_timestamp · created

A service that was killed finds what it accepted; services beside each other find what the others accept. Each writes a
file of its own, which it holds locked. After a snapshot of the index a file becomes a shard beside those of the
publication, so that training sets see what was pushed, from its time on. A line that a kill has cut off was never
answered; it is ignored.

Shape legend: N Pins · B bytes of a stored vector
"""

import base64
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.data.forgotten import Forgotten
from model.embedding.affine import Affine
from model.embedding.columns import as_binary
from model.files import lock_descriptor
from serving.rows import VectorRows, as_ids, joined, lost_rows, read_rows, write_rows


class Journal:
    """One thread at a time."""

    def __init__(self, folder: Path, shards: Path, affine: Affine) -> None:
        self.folder, self.shards, self.affine = folder, shards, affine
        folder.mkdir(parents=True, exist_ok=True)
        self.forgotten = Forgotten()  # no Pin of these becomes a row of a shard
        self._whole: set[str] = set()  # shards with erased rows that were read anew
        self._known: dict[str, int] = {}  # rows that this process has written or read, by the name of the file
        self._begin()

    def append(self, ids: Sequence[str], packed_NB: np.ndarray, times_N: np.ndarray) -> None:
        """When it returns, the operating system has the lines: they survive a kill of this process, but not of the
        machine."""
        rows = zip(ids, times_N.tolist(), packed_NB, strict=True)
        lines = [{"pin_id": i, "time": t, "vector": base64.b64encode(v.tobytes()).decode()} for i, t, v in rows]
        self.opened.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        self.opened.flush()
        self._known[self._name] += len(lines)

    def news(self) -> VectorRows:
        """What others have accepted since the last call, newest last; the first call returns everything."""
        return joined([self._none, *(self._unread(name) for name in sorted(self._names()) if name != self._name)])

    def turn(self) -> list[Path]:
        """Begins a new file; returns those that nobody writes to any more."""
        before = self.opened
        self._begin()
        before.close()
        return [file for file in self.folder.glob("*.jsonl") if not is_locked(file)]

    def become_shard(self, file: Path) -> None:
        """Moves a closed file's Pins into a shard; repeated after a kill, it loses and doubles nothing."""
        whole = self._rows(file.read_bytes())
        rows = whole.take(np.flatnonzero(~self.forgotten.mask(whole.ids).to_numpy(zero_copy_only=False)))
        if len(rows):
            vectors, ids = as_binary(self.affine.pack(rows.codes_NE)), rows.ids.cast(pa.string())
            shard, now = self.shards / f"pushed-{file.stem}.parquet", datetime.now(UTC)
            write_rows(shard, ids, vectors, rows.times_N, now, erased=len(rows) < len(whole))
        file.unlink()

    def end(self) -> None:
        """Removes this process's own file if nothing was written to it."""
        self.opened.close()
        file = self.folder / f"{self._name}.jsonl"
        if file.is_file() and not file.stat().st_size:
            file.unlink()

    def _begin(self) -> None:
        self._name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"
        self.opened: BinaryIO = (self.folder / f"{self._name}.jsonl").open("ab")
        lock_descriptor(self.opened.fileno())
        self._known[self._name] = 0

    def _names(self) -> Iterator[str]:
        """The names of all files and of all that became shards."""
        yield from {file.stem for file in self.folder.glob("*.jsonl")}
        yield from {file.stem.removeprefix("pushed-") for file in self.shards.glob("pushed-*.parquet")}

    def _unread(self, name: str) -> VectorRows:
        known, shard, rows = self._known.get(name, 0), self.shards / f"pushed-{name}.parquet", self._none
        if shard.is_file() and name not in self._whole and lost_rows(shard):
            self._whole.add(name)  # its rows are no longer those of the journal's lines
            known, rows = 0, read_rows(shard, self.affine)
        elif shard.is_file() and pq.read_metadata(shard).num_rows > known:
            rows = read_rows(shard, self.affine)
        elif not shard.is_file():
            with suppress(FileNotFoundError):  # it becomes a shard just now, and is read as that the next time
                rows = self._rows((self.folder / f"{name}.jsonl").read_bytes())
        self._known[name] = max(known, len(rows))
        return rows.take(np.arange(known, len(rows)))

    def _rows(self, data: bytes) -> VectorRows:
        """The rows of complete lines: what follows the last line end is left out."""
        lines = [json.loads(line) for line in data.split(b"\n")[:-1]]
        packed = np.frombuffer(b"".join(base64.b64decode(line["vector"]) for line in lines), np.uint8)
        codes_NE = self.affine.unpack(packed.reshape(-1, self.affine.bytes_per_pin))
        times_N = np.array([line["time"] for line in lines], dtype=np.int64)
        return VectorRows(as_ids([line["pin_id"] for line in lines]), codes_NE, times_N)

    @property
    def _none(self) -> VectorRows:
        return self._rows(b"")


def is_locked(file: Path) -> bool:
    with file.open("rb") as opened:
        return not lock_descriptor(opened.fileno())
