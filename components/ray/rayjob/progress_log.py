"""How a training on another machine says how far it is: in its log, which is all that comes back while it runs.

    pinclip-progress: {"step": 12, "epoch": 0.4, "loss": 1.93, …}
    pinclip-progress: {"refusal": "RunError", "message": "…"}

One side says the points of the training's curves, the other hears them and repeats them as the step's own progress. A
refusal is said where it cannot be written to the volume. Ray writes where a line comes from before it, so the mark may
stand anywhere in a line.
"""

import json
import sys
import time
from collections import deque
from typing import Any

from components.ray.training import ReportStep
from model.errors import PinclipError

MARK = "pinclip-progress: "
INTERVAL = 1.0  # seconds between two points
TAIL = 3  # lines that an error shows
Said = dict[str, Any]
_decoder = json.JSONDecoder()
last_written = [0.0]  # when this process spoke


def write_progress(point: dict[str, Any]) -> None:
    """The `report` of a training that nobody sees but by its log."""
    now = time.monotonic()
    if now - last_written[0] < INTERVAL and point["fraction"] < 1:
        return
    last_written[0] = now
    _write(point)


def write_refusal(error: PinclipError) -> None:
    _write({"refusal": type(error).__name__, "message": str(error)})


def _write(said: Said) -> None:
    sys.stdout.write(f"{MARK}{json.dumps(said)}\n")
    sys.stdout.flush()


class ProgressReader:
    """Hears a log line by line: points go to `report`, a refusal is kept, all else is written to this log."""

    def __init__(self, report: ReportStep) -> None:
        self.report, self.tail = report, deque[str](maxlen=TAIL)
        self.refusal: Said | None = None

    def read_line(self, line: str) -> None:
        _, mark, text = line.partition(MARK)
        if mark:
            try:
                said = _decoder.raw_decode(text)[0]
            except ValueError:  # a line that was cut off
                pass
            else:
                if "refusal" in said:
                    self.refusal = said
                else:
                    self.report(said)
                return
        if line.strip():
            self.tail.append(line.strip())
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
