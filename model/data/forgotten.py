"""Pins and users that must be forgotten, by the digests of their ids: whoever has an id can ask, nobody reads one here.

    {"salt": "5f3a…"}                                                      the first line; digest = sha256(salt · id)
    {"digest": "c0ffee…", "time": "2026-11-28T22:00:00+00:00"}             a tombstone
    {"digest": "c0ffee…", "time": "2026-12-01T08:00:00+00:00", "lifted": true}    the Pin may come back

A user's digest is of another text than that of a Pin with the same id (`user_key`). The file is only ever appended to
(components/tombstones.py). Whoever reads a catalogue, publishes or takes a push leaves these Pins out; whoever reads a
catalogue, the rows of these users.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from model.errors import StoreError


@dataclass(frozen=True)
class Forgotten:
    salt: str = ""
    times: Mapping[str, str] = field(default_factory=dict)  # digest -> ISO 8601, UTC

    @staticmethod
    def read(file: Path) -> "Forgotten":
        """Nobody where there is no file. A line that a kill has cut off counts as not written.

        Raises:
            StoreError: a line is damaged.
        """
        lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.is_file() else []
        times: dict[str, str] = {}
        for number, line in enumerate(lines):
            try:
                told = json.loads(line)
                if number == 0:
                    salt = str(told["salt"])
                elif told.get("lifted"):
                    times.pop(told["digest"], None)
                else:
                    times[told["digest"]] = told["time"]
            except (ValueError, KeyError, TypeError, AttributeError):
                raise StoreError(
                    f"Line {number + 1} of {file} is damaged; take that file from a backup, for without it forgotten "
                    "Pins come back."
                ) from None
        return Forgotten(salt, times) if lines else Forgotten()

    def __bool__(self) -> bool:
        return bool(self.times)

    def __contains__(self, pin_id: str) -> bool:
        return bool(self.times) and self.digest(pin_id) in self.times

    def digest(self, pin_id: str) -> str:
        return hashlib.sha256(f"{self.salt}{pin_id}".encode("utf-8", "surrogatepass")).hexdigest()

    def mask(self, pin_ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Bool, True where the Pin is forgotten; a null is nobody."""
        return pa.array([pin_id is not None and pin_id in self for pin_id in pin_ids.to_pylist()], pa.bool_())

    def mask_of_users(self, user_ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Bool, True where the user is forgotten; a null is nobody."""
        users = user_ids.to_pylist()
        known = {user: user is not None and user_key(user) in self for user in set(users)}
        return pa.array([known[user] for user in users], pa.bool_())


def user_key(user_id: str) -> str:
    """What stands for a user where Pins are named by their ids: no id holds a control character."""
    return f"user\0{user_id}"
