"""Progress events of a step: each is one JSON line for the display and one plain line for the log.

    with step("train"):
        advance(0.4, "epoch 4 of 10", loss=1.93, images_per_s=810.0)

An event has `time` (seconds since 1970), `step` and `event`:
    start
    progress   fraction in [0, 1], message, and any figures that were given
    end        seconds
    error      kind "user" with the sentence of a PinclipError, else kind "bug"
and peak_bytes: the largest resident memory so far of the reporting process or of one of its ended children.
They go to the file named by PINCLIP_EVENTS; without it (a pod on a cluster) the plain lines are all there is.
"""

import json
import logging
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from components import termination_message
from components.settings import Settings
from components.writable_folders import check_writable
from model.errors import PinclipError

EVENTS = "PINCLIP_EVENTS"
INTERVAL = 0.2  # seconds between two progress events of a step; events in between are dropped
COMMON = ("time", "step", "event", "fraction", "message", "kind", "peak_bytes")
# Of these libraries KFP would log each INFO: hundreds of lines, some of which read like errors.
TALKATIVE = ("faiss.loader", "feast", "great_expectations")
_step: ContextVar[str] = ContextVar("step", default="")
_last: ContextVar[float] = ContextVar("last", default=0.0)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Frames the work of the step `name` with a start event and an end or error event; errors go on rising.

    Raises:
        ConfigError: the home of the settings cannot be written.
    """
    for library in TALKATIVE:
        logging.getLogger(library).setLevel(logging.WARNING)
    token = _step.set(name)
    _last.set(0.0)
    started = time.monotonic()
    _emit("start")
    try:
        check_writable(Settings().home)
        yield
    except PinclipError as error:
        _emit("error", kind="user", message=str(error))
        termination_message.leave(error, str(error))
        raise
    except BaseException as error:
        said = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
        _emit("error", kind="bug", message=said)
        termination_message.leave(error, said)
        raise
    else:
        _emit("end", seconds=round(time.monotonic() - started, 3))
    finally:
        _step.reset(token)


def advance(fraction: float, message: str = "", **figures: float) -> None:
    """Says how far the running step is; `figures` are e.g. loss and images_per_s."""
    now = time.monotonic()
    if now - _last.get() < INTERVAL and fraction < 1:
        return
    _last.set(now)
    _emit("progress", fraction=min(max(float(fraction), 0.0), 1.0), message=message, **figures)


def advance_training(point: dict[str, Any]) -> None:
    """The `report` of a training: shows one point of its curves."""
    advance(point["fraction"], f"epoch {point['epoch']:.1f}", loss=point["loss"], images_per_s=point["images_per_s"])


def current_step() -> str:
    """The step that is running; empty outside a step."""
    return _step.get()


def set_current_step(name: str, events: str | None) -> None:
    """Makes this process, a worker of the step `name`, report its progress as that step's."""
    _step.set(name)
    if events:
        os.environ[EVENTS] = events


def finished(events: Path) -> dict[str, dict[str, Any]]:
    """The end event of every step that has ended, in that order; its peak_bytes is that of all processes that reported
    for it."""
    lines = events.read_text(encoding="utf-8").splitlines() if events.is_file() else []
    records, peaks = [json.loads(line) for line in lines], dict[str, int]()
    for record in records:
        if "peak_bytes" in record:
            peaks[record["step"]] = max(record["peak_bytes"], peaks.get(record["step"], 0))
    return {r["step"]: r | {"peak_bytes": peaks[r["step"]]} for r in records if r["event"] == "end"}


def timings() -> dict[str, float]:
    """Seconds of the steps of this run that have ended; empty on a cluster, where nobody writes the events down."""
    path = os.environ.get(EVENTS)
    return {name: end["seconds"] for name, end in finished(Path(path)).items()} if path else {}


def peak_bytes() -> int:
    """The largest resident memory of this process or of one of its ended children so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _emit(event: str, **fields: Any) -> None:
    record = {"time": time.time(), "step": _step.get(), "event": event, **fields, "peak_bytes": peak_bytes()}
    path = os.environ.get(EVENTS)
    if path:
        # One write of one line in append mode: lines of two processes do not mix.
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    sys.stdout.write(log_line(record) + "\n")
    sys.stdout.flush()


def log_line(record: dict[str, Any]) -> str:
    """The event as one line for a log: "train  40%  epoch 4 of 10  loss 1.93"."""
    parts = [record["step"], f"{record['fraction']:.0%}" if "fraction" in record else record["event"]]
    parts.append(record.get("message", ""))
    figures = {name: value for name, value in record.items() if name not in COMMON}
    parts += [_readable(name, value) for name, value in figures.items()]
    return "  ".join(part for part in parts if part)


def _readable(name: str, value: Any) -> str:
    if name == "seconds":
        return f"{value:.1f} s"
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
