"""Draws the loss curves: SVG within the page in the page's own colours, and SVG, PNG and CSV files beside it.

One chart an objective. PinCLIP is the solid line and the CLIP objective the dashed one: neither needs its colour.
"""

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.config.training import LOSSES
from model.errors import RunError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RUNS = ("pinclip", "baseline_clip")
_CHARTS = {**LOSSES, "loss": ("Sum of the weighted losses", "a sum of other parts in each run: compare the slopes")}
# Colours of the files, and the custom property of style.css that takes each one's place within the page.
_COLOURS = {"#2b4c9b": "var(--ours)", "#777772": "var(--clip)", "#55554f": "var(--muted)", "#e3e2dc": "var(--rule)"}
OURS, CLIP, MUTED, RULE = _COLOURS
STYLE = {
    "svg.fonttype": "none",  # letters stay letters: the page's own typeface, selectable
    "svg.hashsalt": "pinclip",  # the same curves give the same bytes
    "font.size": 8.5,
    "text.color": MUTED,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
UNSIGNED = {"Date": None, "Creator": None, "Format": None, "Type": None}  # metadata: the same figure, the same bytes


@dataclass(frozen=True)
class Chart:
    title: str
    note: str
    svg: str  # to stand inside an HTML page
    summary: str  # what the picture shows, for readers who cannot see it


def read_curves(path: Path) -> list[dict[str, Any]]:
    """The logged steps of one training run, oldest first.

    Raises:
        RunError: no such file.
    """
    if not path.is_file():
        raise RunError(f"There are no training curves at {path}; run the training step again.")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def write_curves(curves: list[dict[str, Any]], path: Path) -> None:
    """The curves as CSV, which `dvc plots` and spreadsheets read; what a step did not log is left empty."""
    fields = dict.fromkeys(name for record in curves for name in record) or {"step": None}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(curves)


def loss_charts(ours: list[dict[str, Any]], clip: list[dict[str, Any]], folder: Path) -> list[Chart]:
    """Draws a chart for every loss that was logged and writes loss_<field>.svg and .png into `folder`."""
    import matplotlib

    charts = []
    for field, (title, note) in _CHARTS.items():
        lines = {"PinCLIP": _points(ours, field), "CLIP objective": _points(clip, field)}
        lines = {name: points for name, points in lines.items() if points}
        if not lines:
            continue
        with matplotlib.rc_context(STYLE):
            svg = save_figure(_draw(lines), folder / f"loss_{field}.svg")
        charts.append(Chart(title, note, svg, _summary(title, lines)))
    return charts


def save_figure(figure: "Figure", path: Path) -> str:
    """Writes the figure as SVG to `path` and as PNG beside it; returns it as it may stand inside the page."""
    figure.savefig(path, metadata=UNSIGNED)
    figure.savefig(path.with_suffix(".png"), dpi=160, facecolor="white")
    return inline(path.read_text(encoding="utf-8"))


def _points(curves: list[dict[str, Any]], field: str) -> list[tuple[float, float]]:
    return [(record["step"], record[field]) for record in curves if record.get(field) is not None]


def _draw(lines: dict[str, list[tuple[float, float]]]) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(4.6, 2.4), layout="constrained", facecolor="none")
    axes = figure.add_subplot(facecolor="none")
    looks = {"PinCLIP": (OURS, "-", 1.8), "CLIP objective": (CLIP, (0, (4, 2)), 1.4)}
    for name, points in lines.items():
        colour, dashes, width = looks[name]
        # One logged step is a dot: a line of one point would be invisible.
        marker = "o" if len(points) == 1 else ""
        axes.plot(*zip(*points, strict=True), color=colour, ls=dashes, lw=width, marker=marker, label=name)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="y", color=RULE, lw=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("step")
    axes.legend(frameon=False, loc="upper right", labelcolor=MUTED, handlelength=2.4)
    return figure


def inline(svg: str) -> str:
    """The drawing without its file header, in the page's colours and typeface."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' (width|height)="[\d.]+pt"| xmlns(:xlink)?="[^"]*"', "", svg, count=4)
    svg = re.sub(r"font-family: [^;\"]*; ?", "", svg)
    for colour, name in _COLOURS.items():
        svg = svg.replace(colour, name)
    return svg


def _summary(title: str, lines: dict[str, list[tuple[float, float]]]) -> str:
    ends = (f"{name} from {points[0][1]:.3f} to {points[-1][1]:.3f}" for name, points in lines.items())
    return f"{title}: {', '.join(ends)}."
