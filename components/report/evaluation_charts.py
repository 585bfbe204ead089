"""Draws two charts of the evaluation, a panel for each task: recall against the bytes of a Pin, and recall by slice.

Lines and markers differ in more than their colour.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.report.loss_curves import CLIP, MUTED, OURS, RULE, STYLE, Chart, save_figure
from components.report.tables import LABELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RECALL = "recall@10"
_SCOPES = {"fresh": "Fresh Pins", "all": "All Pins"}
_SLICES = 20  # of a column that the picture has room for, those of most queries
_NAME = 28  # characters of a slice's name
# code -> name, colour, dashes, marker, whether it is filled
_CODES = {
    "float32": ("float32", CLIP, "-", "s", True),
    "int8": ("int8", OURS, "-", "o", True),
    "int8_per_dim": ("int8, a scale for each dimension", CLIP, (0, (4, 2)), "o", False),
    "int4": ("4 bits", OURS, (0, (4, 2)), "^", True),
    "int4_rotated": ("4 bits, rotated", OURS, (0, (1, 1.5)), "^", False),
    "binary": ("signs", MUTED, "-", "x", True),
    "binary_int8": ("signs, 100 best ranked by int8", MUTED, (0, (4, 2, 1, 2)), "D", False),
}


def code_charts(study: dict[str, Any], folder: Path) -> list[Chart]:
    """Recall against bytes of fresh and of all Pins, written as codes_<scope>.svg and .png."""
    import matplotlib

    charts = []
    for scope, pins in _SCOPES.items():
        entries = [entry for entry in study["codes"] if entry["scope"] == scope]
        tasks = list(entries[0]["tasks"]) if entries else []
        if not tasks:
            continue
        with matplotlib.rc_context(STYLE):
            figure, panels = _panels(tasks, height=2.9)
            for task, axes in zip(tasks, panels, strict=True):
                _draw_codes(axes, entries, task)
            panels[0].set_ylabel(_RECALL)
            names = panels[0].get_legend_handles_labels()
            figure.legend(*names, loc="outside lower left", ncols=4, frameon=False, labelcolor=MUTED)
            svg = save_figure(figure, folder / f"codes_{scope}.svg")
        note = f"{pins}; each line goes through the prefixes {', '.join(map(str, _prefixes(entries)))}"
        charts.append(Chart("Recall against bytes", note, svg, _spoken(entries, tasks)))
    return charts


def slice_charts(slices: dict[str, Any], folder: Path) -> list[Chart]:
    """One for every slice column, written as slices_<column>.svg and .png."""
    import matplotlib

    scope = "fresh" if slices["scopes"].get("fresh") else "all"
    measured = slices["scopes"].get(scope, {})
    columns = dict.fromkeys(column for task in measured.values() for column in task["columns"])
    charts = []
    for column in columns:
        names = _names(measured, column)
        if not names:
            continue
        with matplotlib.rc_context(STYLE):
            figure, panels = _panels(list(measured), height=0.9 + 0.2 * len(names), sharey=True)
            for task, axes in zip(measured.values(), panels, strict=True):
                _draw_slices(axes, task, column, names)
            svg = save_figure(figure, folder / f"slices_{re.sub(r'[^A-Za-z0-9]', '_', column)}.svg")
        charts.append(Chart(f"By {column}", _note(measured, column, scope), svg, f"Recall@10 by {column}."))
    return charts


def _panels(tasks: Sequence[str], height: float, **sharing: bool) -> tuple["Figure", list["Axes"]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, height), layout="constrained", facecolor="none")
    panels = figure.subplots(1, len(tasks), squeeze=False, **sharing)[0]
    for task, axes in zip(tasks, panels, strict=True):
        axes.set_facecolor("none")
        axes.set_title(LABELS[task], fontsize="medium", color=MUTED, loc="left")
        axes.spines[["top", "right", "left"]].set_visible(False)
    return figure, list(panels)


def _draw_codes(axes: "Axes", entries: list[dict[str, Any]], task: str) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator

    for code, (name, colour, dashes, marker, filled) in _CODES.items():
        own = [entry for entry in entries if entry["code"] == code]
        points = sorted((entry["bytes_scanned"], entry["tasks"][task][_RECALL]) for entry in own)
        face = colour if filled else "none"
        axes.plot(
            *zip(*points, strict=True), color=colour, ls=dashes, lw=1.2, marker=marker, ms=4, mfc=face, label=name
        )
    axes.set_xscale("log", base=2)
    sizes = sorted({entry["bytes_scanned"] for entry in entries})
    axes.set_xticks(sizes[::2], [str(size) for size in sizes[::2]])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("bytes of a Pin read by a search")
    axes.grid(axis="y", color=RULE, lw=0.6)


def _draw_slices(axes: "Axes", task: dict[str, Any], column: str, names: list[str]) -> None:
    from matplotlib.ticker import MaxNLocator

    for row in task["columns"][column]["slices"]:
        if row["slice"] in names:
            place = names.index(row["slice"])
            axes.plot([row["low"], row["high"]], [place, place], color=OURS, lw=1.2)
            axes.plot([row[_RECALL]], [place], color=OURS, marker="o", ms=4)
    axes.axvline(task[_RECALL], color=CLIP, lw=0.8, ls=(0, (4, 3)))
    short = [name if len(name) <= _NAME else f"{name[: _NAME - 1]}…" for name in names]
    axes.set_yticks(range(len(names)), short, parse_math=False)  # a $ in a name is a $
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="x", color=RULE, lw=0.6)
    axes.set_xlabel(_RECALL)


def _names(measured: dict[str, Any], column: str) -> list[str]:
    """The column's slices, those that ask most first, each once over all tasks."""
    queries: dict[str, int] = {}
    for task in measured.values():
        for row in task["columns"][column]["slices"]:
            queries[row["slice"]] = max(queries.get(row["slice"], 0), row["queries"])
    return sorted(queries, key=lambda name: (-queries[name], name))[:_SLICES]


def _note(measured: dict[str, Any], column: str, scope: str) -> str:
    merged = max(task["columns"][column]["merged"] for task in measured.values())
    others = f"; up to {merged} slices of few queries are merged or left out" if merged else ""
    return f"{_SCOPES[scope]}; dots with 95 % intervals, the dashed line is all{others}"


def _prefixes(entries: list[dict[str, Any]]) -> list[int]:
    return sorted({entry["prefix"] for entry in entries})


def _spoken(entries: list[dict[str, Any]], tasks: list[str]) -> str:
    """The codes of the whole vector, for readers who cannot see the picture."""
    whole = [entry for entry in entries if entry["prefix"] == max(_prefixes(entries))]
    said = (
        f"{_CODES[entry['code']][0]}, {entry['bytes_per_pin']} bytes: "
        + ", ".join(f"{LABELS[task]} {entry['tasks'][task][_RECALL]:.3f}" for task in tasks)
        for entry in whole
    )
    return f"Recall@10. {'; '.join(said)}."
