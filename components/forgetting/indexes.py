"""Index snapshots and journals of every space, and with them the memory of running services.

A service follows the tombstones by itself (serving/service/forgotten.py) and writes snapshot and journal anew; what
one that runs holds open is its own until then. What nobody holds is done here: a journal of a service that has ended
becomes a shard without the Pins, as it would at the next service's snapshot.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

from components.forgetting import formats
from components.forgetting.pins import Pins
from components.forgetting.place import Counts
from components.settings import Settings
from components.tombstones import read_tombstones
from model.errors import VectorIndexError
from model.files import file_lock, remove, replaced
from serving.index import PinIndex
from serving.index.storage import live_snapshot
from serving.service.journal import Journal, is_locked
from serving.space import SpaceManifest, manifest_file

PATIENCE = 60.0  # seconds that running services have to write their snapshots and journals anew
LOOK = 0.5


class Indexes:
    name = "index and journals"

    def __init__(self, settings: Settings, patience: float = PATIENCE) -> None:
        self.settings, self.patience = settings, patience

    def find(self, pins: Pins) -> Counts:
        return {
            str(place.relative_to(self.settings.home)): count
            for state in self._states()
            for place, count in [*_in_index(state, pins), *_in_journals(state, pins)]
        }

    def erase(self, pins: Pins) -> Counts:
        found = self.find(pins)
        for state in self._states():
            with file_lock(state / "saving.lock", wait=True):
                if any(count for _, count in _in_index(state, pins)):
                    _rebuild(state, pins)
                self._close_journals(state, pins)
        end = time.monotonic() + self.patience
        while any(self.find(pins).values()) and time.monotonic() < end:
            time.sleep(LOOK)
        return found

    def _states(self) -> list[Path]:
        return sorted(path for path in (self.settings.home / "serving").glob("*") if path.is_dir())

    def _close_journals(self, state: Path, pins: Pins) -> None:
        files = [file for file, count in _in_journals(state, pins) if count and file.suffix == ".jsonl"]
        if files and manifest_file(self.settings.home / "feast", state.name).is_file():
            space = SpaceManifest.read(self.settings.home / "feast", state.name)
            # A line that cannot be read goes into no shard; its file is kept for a person, and cleaned below.
            journal = Journal(state / "journal", space.folder, space.affine, lambda damage: None)
            journal.forgotten = read_tombstones(self.settings)
            for file in files:
                if not is_locked(file):
                    journal.become_shard(file)
            journal.end()
        for file in (state / "journal").glob("*.damaged"):
            lines = file.read_bytes().split(b"\n")
            if any(_holds(line, pins) for line in lines):
                with replaced(file) as scratch:
                    scratch.write_bytes(b"\n".join(line for line in lines if not _holds(line, pins)))


def _in_index(state: Path, pins: Pins) -> Iterator[tuple[Path, int]]:
    """An index that cannot be opened, and snapshots that a kill has left, are searched byte by byte."""
    folder, count = state / "index", 0
    try:
        count, live = len(PinIndex.open(folder, state.name).ids() & pins.id_set), live_snapshot(folder)
    except VectorIndexError:
        live = None
    for left in folder.glob("snapshot-*"):
        if left != live:
            count += sum(formats.look(file, pins) for file in left.iterdir())
    yield folder, count


def _in_journals(state: Path, pins: Pins) -> Iterator[tuple[Path, int]]:
    journal = state / "journal"
    for file in sorted([*journal.glob("*.jsonl"), *journal.glob("*.damaged")]):
        try:
            lines = file.read_bytes().split(b"\n")
        except FileNotFoundError:  # it became a shard
            continue
        yield file, sum(_holds(line, pins) for line in lines)


def _holds(line: bytes, pins: Pins) -> bool:
    """Whether it is a Pin's line; one that cannot be read is searched byte by byte."""
    try:
        return json.loads(line)["pin_id"] in pins.id_set
    except (ValueError, KeyError, TypeError):
        return any(pin_id in line for pin_id in pins.as_bytes)


def _rebuild(state: Path, pins: Pins) -> None:
    """One that cannot be opened goes: the next service builds it from the shards."""
    try:
        index = PinIndex.open(state / "index", state.name)
    except VectorIndexError:
        remove(state / "index")
        return
    index.forget(pins.ids)
    index.save(state / "index")
