"""What was accepted since the last snapshot of the index, a line a Pin, for whoever shares the folder and comes later.

    <folder>/1763740800000000000-3f2a.jsonl     {"pin_id": "p1", "time": 1763740800000000, "vector": "<base64>"}
    <shards>/pushed-<name of the file>.parquet   what became of it: pin_id · vector · event_timestamp · created

A service that was killed finds what it accepted; services beside each other find what the others accept. Each writes a
file of its own, which it holds locked. After a snapshot of the index a file becomes a shard beside those of the
publication, so that training sets see what was pushed, from its time on. A line that a kill has cut off was never
answered for; it is left out.

Shape legend: N Pins · B bytes of a stored vector
"""

import base64
import fcntl
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

from model.catalogue import TIME
from model.files import replaced

Lines = tuple[list[str], np.ndarray, np.ndarray]  # ids (N,), stored bytes uint8 (N, B), times int64 (N,), µs since 1970


class Journal:
    """One thread at a time."""

    def __init__(self, folder: Path, shards: Path) -> None:
        self.folder, self.shards = folder, shards
        folder.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, int] = {}  # rows that this process has written or read, by the name of the file
        self._begin()

    def append(self, ids: Sequence[str], packed_NB: np.ndarray, times_N: np.ndarray) -> None:
        """With the operating system when it returns: it outlives this process, not the machine."""
        rows = zip(ids, times_N.tolist(), packed_NB, strict=True)
        lines = [{"pin_id": i, "time": t, "vector": base64.b64encode(v.tobytes()).decode()} for i, t, v in rows]
        self._out.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        self._out.flush()
        self._known[self._name] += len(lines)

    def news(self) -> Lines:
        """What others have accepted since the last call, newest last; at the first call all that ever was."""
        parts = [rows for name in sorted(self._names()) if name != self._name and len((rows := self._unread(name))[0])]
        if not parts:
            return [], np.zeros((0, 0), np.uint8), np.zeros(0, np.int64)
        ids, packed, times = zip(*parts, strict=True)
        return [one for some in ids for one in some], np.concatenate(packed), np.concatenate(times)

    def turn(self) -> list[Path]:
        """Begins a new file; returns those that nobody writes to any more."""
        before = self._out
        self._begin()
        before.close()
        return [file for file in self.folder.glob("*.jsonl") if not _is_locked(file)]

    def become_shard(self, file: Path) -> None:
        """Moves a closed file's Pins into a shard; cut short and done again, nothing is lost or doubled."""
        ids, packed_NB, times_N = _rows(file.read_bytes())
        if ids:
            times, now = pa.array(times_N).cast(TIME), pa.scalar(datetime.now(UTC), TIME)
            columns = {"pin_id": pa.array(ids), "vector": pa.array([row.tobytes() for row in packed_NB], pa.binary())}
            table = pa.table(columns | {"event_timestamp": times, "created": pa.repeat(now, len(ids))})
            with replaced(self.shards / f"pushed-{file.stem}.parquet") as scratch:
                pq.write_table(table, scratch)
        file.unlink()

    def _begin(self) -> None:
        self._name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"
        self._out: BinaryIO = (self.folder / f"{self._name}.jsonl").open("ab")
        fcntl.flock(self._out, fcntl.LOCK_EX)  # until it is closed or this process ends
        self._known[self._name] = 0

    def _names(self) -> Iterator[str]:
        """Of all files, and of all that became shards."""
        yield from {file.stem for file in self.folder.glob("*.jsonl")}
        yield from {file.stem.removeprefix("pushed-") for file in self.shards.glob("pushed-*.parquet")}

    def _unread(self, name: str) -> Lines:
        known, shard = self._known.get(name, 0), self.shards / f"pushed-{name}.parquet"
        rows: Lines = [], np.zeros((0, 0), np.uint8), np.zeros(0, np.int64)
        if shard.is_file() and pq.read_metadata(shard).num_rows > known:
            rows = _shard_rows(shard)
        elif not shard.is_file():
            with suppress(FileNotFoundError):  # it becomes a shard just now, and is read as that the next time
                rows = _rows((self.folder / f"{name}.jsonl").read_bytes())
        self._known[name] = max(known, len(rows[0]))
        return rows[0][known:], rows[1][known:], rows[2][known:]


def _rows(data: bytes) -> Lines:
    whole = [json.loads(line) for line in data.split(b"\n")[:-1]]  # what follows the last end of a line is cut off
    vectors = [np.frombuffer(base64.b64decode(row["vector"]), np.uint8) for row in whole]
    times_N = np.array([row["time"] for row in whole], dtype=np.int64)
    return [row["pin_id"] for row in whole], np.stack(vectors) if vectors else np.zeros((0, 0), np.uint8), times_N


def _shard_rows(shard: Path) -> Lines:
    table = pq.read_table(shard, columns=["pin_id", "vector", "event_timestamp"])
    packed_NB = np.stack([np.frombuffer(vector, np.uint8) for vector in table["vector"].to_pylist()])
    return table["pin_id"].to_pylist(), packed_NB, table["event_timestamp"].cast(TIME).cast(pa.int64()).to_numpy()


def _is_locked(file: Path) -> bool:
    with file.open("rb") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
