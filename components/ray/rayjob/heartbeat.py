"""A step's heartbeat on the shared volume: a training whose step has disappeared ends itself.

A step that gets SIGKILL cannot delete its RayJob, which would hold its GPUs until its deadline. So the step rewrites
<folder>/followed every BEAT seconds, and the training watches the file's content, because clocks differ between nodes.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model.files import write_text

FILE = "followed"
BEAT = 20.0  # seconds
ALONE = 900.0  # seconds without a heartbeat, after which the step is taken to be gone


@contextmanager
def sending_heartbeats(folder: Path) -> Iterator[None]:
    """Writes a heartbeat now and every BEAT seconds until the block ends; errors of the volume are ignored."""
    ended = threading.Event()

    def beat() -> None:
        while True:
            with suppress(OSError):
                write_text(folder / FILE, f"{time.time()}\n")
            if ended.wait(BEAT):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(BEAT)


@contextmanager
def ending_without_heartbeat(folder: Path, end: Callable[[], None]) -> Iterator[None]:
    """Calls end(), from a thread, if the block sees no new heartbeat for ALONE seconds."""
    over = threading.Event()

    def watch() -> None:
        seen, since = _sign(folder), time.monotonic()
        while time.monotonic() - since < ALONE:
            if over.wait(BEAT):
                return
            if (sign := _sign(folder)) != seen:
                seen, since = sign, time.monotonic()
        end()

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _sign(folder: Path) -> str:
    try:
        return (folder / FILE).read_text(encoding="utf-8")
    except OSError:
        return ""
