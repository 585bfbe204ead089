"""What a frozen tower gave, by content: records of a fixed size in parts that never change.

    <folder>/<part>/keys.u8        sha256 of each content, 32 bytes a record
    <folder>/<part>/records.bf16   one record after the other
    <folder>/<part>/part.json      tower, shape of a record, number of records, sha256 of keys.u8

A folder belongs to one tower. A part is written beside and renamed whole, so any number of processes may add parts at
once and read meanwhile; what two of them have computed twice is there twice, and the first one counts.

Shape legend: N records · K bytes of a key
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from model.errors import ModelError
from model.files import remove, replaced, sha256_of, write_json

KEY = 32  # bytes
BF16 = 2  # bytes


class Records:
    """The records of one tower that are there now.

    Raises:
        ModelError: a part is damaged, or of another tower.
    """

    def __init__(self, folder: Path, tower: str, shape: Sequence[int]) -> None:
        self.folder, self.tower, self.shape = folder, tower, tuple(shape)
        self.bytes = int(np.prod(self.shape)) * BF16  # of a record
        self.parts = sorted(part for part in folder.glob("[!.]*") if (part / "part.json").is_file())
        counts = [_checked(part, tower, self.shape, self.bytes) for part in self.parts]
        self.starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._files = [(part / "records.bf16").open("rb") for part in self.parts]
        keys = [np.fromfile(part / "keys.u8", dtype=np.uint8) for part in self.parts]
        self._keys = _as_scalars(np.concatenate([*keys, np.zeros(0, np.uint8)]).reshape(-1, KEY))
        self._order = np.argsort(self._keys, kind="stable")  # of equal keys the first one leads

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, keys_NK: np.ndarray) -> np.ndarray:
        """int64 (N,): the number of each key's record, -1 where there is none."""
        asked = _as_scalars(keys_NK)
        place = np.searchsorted(self._keys, asked, sorter=self._order)
        number = self._order[np.minimum(place, len(self) - 1)] if len(self) else np.zeros(len(asked), np.int64)
        there = self._keys[number] == asked if len(self) else np.zeros(len(asked), dtype=bool)
        return np.where(there, number, -1)

    def read(self, numbers: Sequence[int] | np.ndarray) -> Tensor:
        """bfloat16 (len(numbers), *shape)."""
        if not len(numbers):
            return torch.empty((0, *self.shape), dtype=torch.bfloat16)
        out = np.empty((len(numbers), self.bytes), dtype=np.uint8)
        part = np.searchsorted(self.starts, numbers, side="right") - 1
        for target, number, p in zip(out, numbers, part, strict=True):
            os.preadv(self._files[p].fileno(), [target.data], (int(number) - int(self.starts[p])) * self.bytes)
        return torch.from_numpy(out).view(torch.bfloat16).view(-1, *self.shape)


def write_part(folder: Path, name: str, tower: str, keys_NK: np.ndarray, records: Tensor) -> None:
    """Adds a part of N records (N, *shape); one of this name is replaced."""
    with replaced(folder / name) as scratch:
        scratch.mkdir(parents=True)
        np.ascontiguousarray(keys_NK, dtype=np.uint8).tofile(scratch / "keys.u8")
        records.to(torch.bfloat16).contiguous().view(torch.uint8).numpy().tofile(scratch / "records.bf16")
        facts = {"tower": tower, "shape": list(records.shape[1:]), "count": len(records)}
        write_json(scratch / "part.json", facts | {"keys": sha256_of(scratch / "keys.u8")})


def text_keys(texts: Sequence[str]) -> np.ndarray:
    """uint8 (N, K): the keys of texts."""
    digests = b"".join(hashlib.sha256(text.encode()).digest() for text in texts)
    return np.frombuffer(digests, dtype=np.uint8).reshape(-1, KEY)


def keys_of_hex(digests: Sequence[str]) -> np.ndarray:
    """uint8 (N, K): sha256 sums in hexadecimal digits, as keys."""
    return np.frombuffer(bytes.fromhex("".join(digests)), dtype=np.uint8).reshape(-1, KEY)


def _checked(part: Path, tower: str, shape: tuple[int, ...], size: int) -> int:
    """Number of records of the part. Raises ModelError where it cannot be read as this tower's."""
    try:
        facts: dict[str, Any] = json.loads((part / "part.json").read_text(encoding="utf-8"))
        count, of, shaped = int(facts["count"]), facts["tower"], tuple(facts["shape"])
        whole = (part / "keys.u8").stat().st_size == count * KEY and sha256_of(part / "keys.u8") == facts["keys"]
        sizes = (part / "records.bf16").stat().st_size
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(_damaged(part)) from None
    if of != tower or shaped != shape:
        raise ModelError(f"{part} was written by another tower than {tower[:12]}; remove the folder.")
    if not whole or sizes != count * size:
        raise ModelError(_damaged(part))
    return count


def _damaged(part: Path) -> str:
    return f"{part} is damaged; remove the folder, and run the extract step again."


def _as_scalars(keys_NK: np.ndarray) -> np.ndarray:
    """(N, K) bytes -> (N,) values that can be sorted."""
    return np.ascontiguousarray(keys_NK).view(f"S{KEY}")[:, 0]


def count_in(part: Path, keys_NK: np.ndarray) -> int:
    """How many records of the part have one of these keys."""
    return int(_among(part, keys_NK).sum())


def remove_from(part: Path, keys_NK: np.ndarray) -> None:
    """Writes the part anew without the records of these keys; one that is left empty goes."""
    facts = json.loads((part / "part.json").read_text(encoding="utf-8"))
    stay = ~_among(part, keys_NK)
    if not stay.any():
        remove(part)
        return
    keys = np.fromfile(part / "keys.u8", dtype=np.uint8).reshape(-1, KEY)[stay]
    records = np.fromfile(part / "records.bf16", dtype=np.uint8).reshape(len(stay), -1)[stay]
    shaped = torch.from_numpy(records).view(torch.bfloat16).view(-1, *facts["shape"])
    write_part(part.parent, part.name, facts["tower"], keys, shaped)


def _among(part: Path, keys_NK: np.ndarray) -> np.ndarray:
    keys = _as_scalars(np.fromfile(part / "keys.u8", dtype=np.uint8).reshape(-1, KEY))
    return np.isin(keys, _as_scalars(keys_NK))
