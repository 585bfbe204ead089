"""Shows the progress of a pipeline: a live table at a terminal, plain lines everywhere else.

    with display(console) as show:
        show({"time": …, "step": "train", "event": "progress", "fraction": 0.4, "message": "epoch 4 of 10"})

The events are those of components/progress.py, after one {"event": "plan", "steps": […]} that names the rows.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from components.progress import log_line

ProgressEvent = dict[str, Any]
PLAIN_INTERVAL = 10.0  # seconds between two plain progress lines of a step
# How a figure of a progress event reads; a figure not named here is left to the log.
FIGURES = {"loss": "loss {:.3f}", "images_per_s": "{:,.0f} images/s"}


@contextmanager
def display(console: Console, title: str = "") -> Iterator[Callable[[ProgressEvent], None]]:
    """Yields the function to show events with: live at a terminal, plain with NO_COLOR, CI or no terminal."""
    plain_lines = not console.is_terminal or console.is_dumb_terminal or bool({"NO_COLOR", "CI"} & set(os.environ))
    if plain_lines:
        yield PlainLines(console).show
        return
    table = LiveTable(title)
    with Live(get_renderable=table.render, console=console, refresh_per_second=8) as live:
        yield table.show
        live.refresh()


class PlainLines:
    """One line when a step starts, ends or fails, and at intervals one in between."""

    def __init__(self, console: Console) -> None:
        self.console, self._next = console, 0.0

    def show(self, event: ProgressEvent) -> None:
        if event["event"] == "plan":
            return
        if event["event"] == "progress":
            if event["time"] < self._next and event["fraction"] < 1:
                return
            self._next = event["time"] + PLAIN_INTERVAL
        else:
            self._next = 0.0
        # The command prints the sentence of an error, once, at its end.
        line = f"{event['step']}  failed" if event["event"] == "error" else log_line(event)
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


@dataclass
class StepRow:
    """One step as the table shows it."""

    state: str = "waiting"  # waiting, running, done, failed
    started: float = 0.0  # seconds since 1970
    seconds: float = 0.0
    fraction: float = 0.0
    message: str = ""
    figures: dict[str, float] = field(default_factory=dict)


class LiveTable:
    """The table of steps; `render` is called by rich several times a second so that the clock ticks."""

    def __init__(self, title: str, clock: Callable[[], float] = time.time) -> None:
        self.title, self.clock, self.rows = title, clock, dict[str, StepRow]()
        self.spinner = Spinner("dots")

    def show(self, event: ProgressEvent) -> None:
        if event["event"] == "plan":
            self.rows = {name: StepRow() for name in event["steps"]}
            return
        row = self.rows.setdefault(event["step"], StepRow())
        if event["event"] == "start":
            row.state, row.started = "running", event["time"]
        elif event["event"] == "progress":
            row.fraction, row.message = event["fraction"], event.get("message") or row.message
            row.figures |= {name: event[name] for name in FIGURES if name in event}
        else:
            row.state = "done" if event["event"] == "end" else "failed"
            row.seconds = event["time"] - row.started
            row.message = row.message if row.state == "done" else ""

    def render(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for name, row in self.rows.items():
            table.add_row(*self._cells(name, row))
        heading = Text(self.title, style="bold")
        return Group(heading, table) if self.rows else Group(heading, Text("starting …", style="dim"))

    def _cells(self, name: str, row: StepRow) -> tuple[RenderableType, ...]:
        if row.state == "waiting":
            return Text("·", style="dim"), Text(name, style="dim"), "", "", ""
        if row.state == "running":
            # A bar of unknown length pulses until the step says how far it is.
            bar = ProgressBar(total=1.0 if row.fraction else None, completed=row.fraction, width=24)
            seconds = f"{max(self.clock() - row.started, 0):.0f} s"
            return self.spinner, Text(name, style="bold"), Text(seconds, justify="right"), bar, self._says(row)
        mark = Text("✓", style="green") if row.state == "done" else Text("✗", style="red")
        return mark, name, Text(f"{row.seconds:.1f} s", justify="right"), "", self._says(row)

    @staticmethod
    def _says(row: StepRow) -> Text:
        figures = [FIGURES[name].format(value) for name, value in row.figures.items()]
        return Text("  ".join(filter(None, [row.message, *figures])), style="dim", overflow="ellipsis", no_wrap=True)
