"""Working copies: whole catalogues that killed runs, syncs and RayJobs have left, and the prepared data of a volume.

    runs/.work/<name>                of a run; one that is at work holds its lock and keeps its copy until it ends
    <home>/sync.work                 of a sync
    <volume>/rayjobs/<name>          of a RayJob, the same with its heartbeat
    PINCLIP_PREPARED/<digest>        prepared catalogues; the step that needs one makes it anew
    <temporary folder>/pinclip-…     of a step that was killed; that of one at work ends with it
    .<name>.….partial                beside catalogues and in what is kept of frozen towers: of a killed import or step

A copy that holds the Pins goes whole; one that was being written goes whoever it holds.
"""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from components.forgetting.folders import WORK
from components.forgetting.pins import Pins
from components.forgetting.place import Counts
from components.forgetting.tree import look_into
from components.settings import EXTRACTED, Settings
from model.files import is_abandoned, is_scratch, lock_descriptor, remove

TEMPORARY = "pinclip-"  # what names of temporary folders begin with
QUIET = 600.0  # seconds without a sign of life after which a RayJob's folder is nobody's


class Working:
    name = "working copies"

    def __init__(self, settings: Settings, parents: Iterable[Path], catalogues: Iterable[Path] = ()) -> None:
        """parents: folders in which runs and looks lie."""
        self.settings, self.parents = settings, list(parents)
        kept = (settings.home / EXTRACTED).glob("*/")
        self.written_in = list(dict.fromkeys([*(path.parent for path in catalogues), *kept]))

    def find(self, pins: Pins) -> Counts:
        return {str(folder): _count(folder, pins) for folder in self._copies()}

    def erase(self, pins: Pins) -> Counts:
        """What somebody works with stays, and is found again by the next call."""
        counts = self.find(pins)
        for name, found in counts.items():
            if found and not is_held(Path(name)):
                with suppress(FileNotFoundError):  # its owner clears up at this moment
                    remove(Path(name))
        return counts

    def _copies(self) -> Iterator[Path]:
        for parent in self.parents:
            yield from _folders(parent / WORK)
        yield from (path for path in [self.settings.home / "sync.work"] if path.is_dir())
        yield from _folders(self.settings.home / "rayjobs")
        yield from _folders(self.settings.home.parent / "rayjobs")
        yield from _folders(self.settings.prepared) if self.settings.prepared else ()
        for parent in self.written_in:
            yield from filter(is_scratch, _folders(parent))
        temporary = (path for path in _folders(Path(tempfile.gettempdir())) if path.name.startswith(TEMPORARY))
        yield from (path for path in temporary if _is_mine(path) and not is_held(path))


def is_held(folder: Path) -> bool:
    """Whether somebody works with it: locked, a sign of life lately, or a process that has it as its folder or writes
    it."""
    if is_scratch(folder):
        return not is_abandoned(folder)
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        if not lock_descriptor(descriptor):
            return True
    finally:
        os.close(descriptor)
    beat = folder / "followed"
    if beat.is_file() and time.time() - beat.stat().st_mtime < QUIET:
        return True
    return folder.name.startswith(TEMPORARY) and any(str(folder).encode() in told for told in _environments())


def _is_mine(folder: Path) -> bool:
    try:
        return folder.stat().st_uid == os.getuid()
    except FileNotFoundError:
        return False


def _count(folder: Path, pins: Pins) -> int:
    if is_scratch(folder) and is_abandoned(folder):
        return 1
    return sum(found for _, found in look_into(folder, pins))


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _environments() -> Iterator[bytes]:
    """What the processes of this machine were started with; nothing where the system does not tell."""
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            yield file.read_bytes()
        except OSError:
            continue
