"""The sign of life of a step, on the shared volume: a training that nobody follows any more ends itself.

A step that is killed hard can delete nothing, and its RayJob would hold its GPUs until its deadline. So the step writes
<folder>/followed again and again, and the training watches that file: its content, for clocks differ between nodes.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model.files import write_text

FILE = "followed"
BEAT = 20.0  # seconds
ALONE = 900.0  # seconds without a sign, after which nobody is believed to come back


@contextmanager
def sending_heartbeats(folder: Path) -> Iterator[None]:
    """Gives a sign now and every BEAT seconds until the block ends. A volume that fails for a while is no matter."""
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
    """Calls end(), from a thread, once there has been no new sign for ALONE seconds of the block."""
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
