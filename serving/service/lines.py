"""The lines of a journal: one Pin each, with a checksum.

    {"pin_id": "p1", "time": 1763740800000000, "vector": "<base64>", "sum": "<16 hexadecimal digits>"}

While the online store does not have the Pins yet, their lines end in a carriage return, which JSON never holds. They
count once these are line feeds.

A line whose bytes have changed on the disk is found by its checksum and told with its place in the file.

Shape legend: N Pins · B bytes of a stored vector
"""

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from model.embedding.affine import Affine
from serving.rows import VectorRows, as_ids

PENDING = b"\r"
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def damaged(file: Path, where: str) -> str:
    """What cannot be read and what to do about it, as one sentence."""
    return (
        f"{file} is damaged {where}; bring it back from a backup, or go on without that part: "
        "pinclip serve --without-damaged."
    )


def as_lines(ids: Sequence[str], packed_NB: np.ndarray, times_N: np.ndarray) -> bytes:
    rows = zip(ids, times_N.tolist(), packed_NB, strict=True)
    lines = [{"pin_id": i, "time": t, "vector": base64.b64encode(v.tobytes()).decode()} for i, t, v in rows]
    return b"".join(json.dumps(line | {"sum": _sum(line)}).encode() + b"\n" for line in lines)


def pending(lines: bytes) -> bytes:
    """The lines as they stand in the journal before they count; as long."""
    return lines.replace(b"\n", PENDING)


def pending_ids(file: Path, affine: Affine) -> list[str]:
    """The ids of the last lines of a file, if a kill came before they counted.

    Raises:
        FileNotFoundError: there is no such file.
    """
    ids = list[str]()
    for line in file.read_bytes().rpartition(b"\n")[2].split(PENDING)[:-1]:
        with suppress(*UNREADABLE):  # a kill while they were written: the online store knows nothing of them
            ids.append(_parsed(line, affine)[0])
    return ids


def read_lines(file: Path, affine: Affine, lose: Callable[[str], None]) -> VectorRows:
    """The rows of complete lines, without those that `lose` was told of.

    Raises:
        FileNotFoundError: there is no such file.
    """
    ids, times, vectors, offset = list[str](), list[int](), list[bytes](), 0
    for line in file.read_bytes().split(b"\n")[:-1]:
        try:
            pin_id, time, vector = _parsed(line, affine)
        except UNREADABLE:
            lose(damaged(file, f"at byte {offset:,}, in the line of one Pin"))
        else:
            ids.append(pin_id)
            times.append(time)
            vectors.append(vector)
        offset += len(line) + 1
    packed = np.frombuffer(b"".join(vectors), np.uint8).reshape(-1, affine.bytes_per_pin)
    return VectorRows(as_ids(ids), affine.unpack(packed), np.array(times, dtype=np.int64))


def _parsed(line: bytes, affine: Affine) -> tuple[str, int, bytes]:
    """Raises one of UNREADABLE for a line that is not as it was written."""
    told = json.loads(line)
    if told.pop("sum") != _sum(told):
        raise ValueError("the checksum does not fit")
    vector = base64.b64decode(told["vector"], validate=True)
    if len(vector) != affine.bytes_per_pin:
        raise ValueError("the vector has another length")
    return told["pin_id"], told["time"], vector


def _sum(line: dict[str, object]) -> str:
    said = f"{line['time']} {line['vector']} {line['pin_id']}"
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:16]
