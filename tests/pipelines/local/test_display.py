"""The display, with and without a terminal."""

import io

import pytest
from rich.console import Console

from pipelines.local.display import LiveTable, display

EVENTS = [
    {"time": 100.0, "event": "plan", "steps": ["prepare", "train", "embed"]},
    {"time": 100.0, "step": "prepare", "event": "start"},
    {"time": 101.0, "step": "prepare", "event": "progress", "fraction": 1.0, "message": "198 of 200 Pins kept"},
    {"time": 102.5, "step": "prepare", "event": "end", "seconds": 2.5, "peak_bytes": 2**30},
    {"time": 103.0, "step": "train", "event": "start"},
    {"time": 104.0, "step": "train", "event": "progress", "fraction": 0.1, "message": "epoch 1", "loss": 3.5},
    {"time": 105.0, "step": "train", "event": "progress", "fraction": 0.2, "message": "epoch 2", "loss": 2.25},
    {
        "time": 130.0,
        "step": "train",
        "event": "progress",
        "fraction": 0.9,
        "message": "epoch 9",
        "images_per_s": 1234.0,
    },
]
FAILURE = {"time": 131.0, "step": "train", "event": "error", "kind": "user", "message": "The [loss] is not finite."}


def written(console: Console, events: list[dict]) -> str:
    with display(console, "pinclip run a") as show:
        for event in events:
            show(event)
    return console.file.getvalue()


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return Console(file=io.StringIO(), force_terminal=True, width=100, height=30, color_system=None)


def test_without_a_terminal_there_are_plain_lines():
    lines = written(Console(file=io.StringIO(), width=20), [*EVENTS, FAILURE]).splitlines()
    assert lines == [
        "prepare  start",
        "prepare  100%  198 of 200 Pins kept",
        "prepare  end  2.5 s",
        "train  start",
        "train  10%  epoch 1  loss 3.5",
        "train  90%  epoch 9  images_per_s 1234",
        "train  failed",
    ]


@pytest.mark.parametrize("name", ["NO_COLOR", "CI"])
def test_a_terminal_that_asks_for_plain_lines_gets_them(terminal, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert written(terminal, EVENTS[:2]) == "prepare  start\n"


def test_a_terminal_gets_a_table_that_moves(terminal):
    text = written(terminal, EVENTS)
    assert "pinclip run a" in text
    assert "\x1b[" in text  # the cursor goes back up
    assert "198 of 200 Pins kept" in text


def rendered(events: list[dict], now: float) -> list[str]:
    table = LiveTable("run", clock=lambda: now)
    for event in events:
        table.show(event)
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(table.render())
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_each_step_has_a_row_with_its_state_seconds_and_figures():
    lines = rendered(EVENTS, now=133.0)
    assert lines[0] == "run"
    assert lines[1] == "✓ prepare 2.5 s 198 of 200 Pins kept"
    assert "train 30 s" in lines[2]
    assert "━" in lines[2]
    assert lines[2].endswith("epoch 9 loss 2.250 1,234 images/s")
    assert lines[3] == "· embed"


def test_a_failed_step_is_marked_and_markup_in_messages_is_text():
    lines = rendered([*EVENTS, FAILURE], now=140.0)
    assert lines[2].startswith("✗ train 28.0 s")
    shown = rendered([EVENTS[0], EVENTS[1], EVENTS[2] | {"message": "[red]board[/red]", "fraction": 0.5}], now=101.0)
    assert "[red]board[/red]" in shown[1]


def test_before_the_plan_it_says_so():
    assert rendered([], now=0.0) == ["run", "starting …"]
