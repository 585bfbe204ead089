"""The spaces that `pin_ranking` has served, and when: <home>/events.jsonl, a line an event, only ever appended to.

    {"time": "2026-11-21T20:00:00+00:00", "event": "promoted", "space": "v7", "version": 7, "former": "v6",
     "by": "sync", "reason": ""}

event: served (by the first publication) · promoted · rolled back · retired
by:    publish · sync · promote · rollback · retire
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from components.settings import Settings
from components.spaces.paths import events_file

SERVED, PROMOTED, ROLLED_BACK, RETIRED = "served", "promoted", "rolled back", "retired"


@dataclass(frozen=True)
class SpaceEvent:
    time: str  # ISO 8601, UTC
    event: str
    space: str
    version: int
    former: str | None  # the space before
    by: str
    reason: str = ""  # of a promotion past a failed gate

    @property
    def said(self) -> str:
        """The event in words: a promotion of a version older than the one before is called that."""
        older = self.event == PROMOTED and self.former is not None and int(self.former[1:]) > self.version
        return "promoted an older" if older else self.event


def read_events(settings: Settings) -> list[SpaceEvent]:
    """In the order of their time. A line that was cut off by a kill or a full disk counts as not written."""
    file = events_file(settings)
    lines = file.read_text(encoding="utf-8").split("\n")[:-1] if file.is_file() else []
    return [SpaceEvent(**json.loads(line)) for line in lines]


def append_event(event: SpaceEvent, settings: Settings) -> None:
    """One writer at a time (components/spaces/feature_store.py: writing)."""
    with events_file(settings).open("a+b") as file:
        file.seek(0)
        whole = file.read().rpartition(b"\n")
        file.truncate(len(whole[0]) + len(whole[1]))
        file.write(json.dumps(asdict(event)).encode() + b"\n")


def served(events: Sequence[SpaceEvent]) -> list[str]:
    """The spaces served one after the other, the last one now; a space that was rolled back is left out."""
    spaces: list[str] = []
    for one in events:
        if one.event == ROLLED_BACK and one.space in spaces:
            while spaces[-1] != one.space:
                spaces.pop()
        elif one.event != RETIRED and spaces[-1:] != [one.space]:
            spaces.append(one.space)
    return spaces
