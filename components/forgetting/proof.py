"""The proof: what was looked at, what was found there, when it was erased; kept as <home>/forgotten/<name>.json.

    {"pins": ["<digest>"], "users": [], "begun": …, "ended": …, "complete": true,
     "places": [{"kind": "online store", "place": "sqlite: pin_embedding_v1", "found": 1, "erased": …, "left": 0}],
     "remains": [{"what": …, "owner": …, "how": …}]}

Pins and users are named by their digest alone (model/data/forgotten.py). It is written after every kind of place. A
call that was killed is taken up by the next one for the same, with what had been found until then. Which catalogues
held them, and which versions were trained on those, is known from earlier proofs too, when no catalogue has them any
more.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.forgetting.remains import Remainder
from components.settings import Settings
from model.errors import StoreError
from model.files import write_json


@dataclass
class Spot:
    kind: str
    place: str
    found: int
    erased: str | None = None  # when; None: nothing had to be
    left: int = 0


@dataclass
class Proof:
    file: Path
    pins: list[str]
    begun: str
    spots: dict[tuple[str, str], Spot] = field(default_factory=dict)
    catalogues: list[str] = field(default_factory=list)  # that held them
    versions: list[int] = field(default_factory=list)  # that were trained on those
    remains: list[Remainder] = field(default_factory=list)
    ended: str | None = None
    users: list[str] = field(default_factory=list)

    @staticmethod
    def open(digests: Sequence[str], settings: Settings, users: Sequence[str] = ()) -> "Proof":
        """The one of a call that was killed, else a new one.

        Raises:
            StoreError: an earlier proof is damaged.
        """
        folder, asked = settings.home / "forgotten", (sorted(digests), sorted(users))
        short = hashlib.sha256(" ".join(asked[0] + asked[1]).encode()).hexdigest()[:12]
        file = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{short}.json"
        proof = Proof(file, asked[0], now(), users=asked[1])
        for file in sorted(folder.glob("*.json")):
            try:
                told = json.loads(file.read_text(encoding="utf-8"))
            except ValueError:
                raise StoreError(
                    f"The proof {file} is damaged; bring it back from a backup, or move it away."
                ) from None
            before = told["pins"], told.get("users", [])
            if {*asked[0], *asked[1]}.isdisjoint(before[0] + before[1]):
                continue
            if not told["complete"] and before == asked:
                proof.file, proof.begun = file, told["begun"]
                proof.spots = {(one["kind"], one["place"]): Spot(**one) for one in told["places"]}
            proof.note_origin(told["catalogues"], told["versions"])
        return proof

    @property
    def left(self) -> list[Spot]:
        return [spot for spot in self.spots.values() if spot.left]

    @property
    def complete(self) -> bool:
        return self.ended is not None and not self.left

    @property
    def found(self) -> int:
        return sum(spot.found for spot in self.spots.values())

    @property
    def said(self) -> str:
        """Who, for a line of text."""
        return f"{len(self.pins):,} Pins" + (f" and {len(self.users):,} users" if self.users else "")

    def note_origin(self, catalogues: Iterable[str], versions: Iterable[int]) -> None:
        self.catalogues = sorted({*self.catalogues, *catalogues})
        self.versions = sorted({*self.versions, *versions})

    def note_found(self, kind: str, counts: Mapping[str, int]) -> None:
        """Before the erasure: a call that is killed within it has written down what it found."""
        for place, count in counts.items():
            spot = self.spots.setdefault((kind, place), Spot(kind, place, 0))
            spot.found, spot.left = max(spot.found, count), count
        self.write()

    def note_left(self, kind: str, counts: Mapping[str, int]) -> None:
        """After the erasure; a spot that is not there any more holds nothing."""
        for (of, place), spot in self.spots.items():
            if of == kind:
                before, spot.left = spot.left, counts.get(place, 0)
                if spot.found and not spot.left and (before or spot.erased is None):
                    spot.erased = now()
        self.write()

    def write(self) -> None:
        write_json(self.file, self.fields)

    @property
    def fields(self) -> dict[str, Any]:
        return {
            "pins": self.pins,
            "users": self.users,
            "begun": self.begun,
            "ended": self.ended,
            "complete": self.complete,
            "catalogues": self.catalogues,
            "versions": self.versions,
            "places": [asdict(spot) for spot in self.spots.values()],
            "remains": [asdict(one) for one in self.remains],
        }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
