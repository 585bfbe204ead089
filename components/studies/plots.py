"""The pictures of a study, PNG: dots with their 95 % intervals; PinCLIP blue, the CLIP objective grey and hollow."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.report.plots import CLIP as GREY
from components.report.plots import MUTED, OURS, RULE, STYLE
from components.studies.tables import TASKS, Groups, mean
from model.arms import CLIP, FULL
from model.files import replaced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN = ("related_pins", "search", "pintext")  # a panel each
_LABELS = {FULL: "PinCLIP", CLIP: "CLIP objective"}


def ablation_plot(groups: Groups, path: Path) -> None:
    """A row for every arm, a panel for every task; the line is PinCLIP's mean."""
    names = list(groups)
    with _panels((8.0, 1.1 + 0.3 * len(names)), path, sharey=True) as panels:
        for task, axes in panels.items():
            for row, name in enumerate(names):
                found = mean(groups[name], task)
                if found:
                    axes.errorbar([found.mean], [row], xerr=[found.half or 0.0], **_look(name))
            full = mean(groups[FULL], task) if FULL in groups else None
            if full:
                axes.axvline(full.mean, color=OURS, lw=0.8, ls=(0, (4, 3)))
            axes.set_yticks(range(len(names)), [_LABELS.get(name, name) for name in names])
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_xlabel("recall@10, fresh Pins")


def scaling_plot(shares: Mapping[int, Groups], path: Path) -> None:
    """Recall against training Pins, each doubling as wide as the one before; the paper's Figure 5."""
    from matplotlib.ticker import NullLocator

    with _panels((8.0, 2.9), path) as panels:
        for task, axes in panels.items():
            for name in (FULL, CLIP):
                points = [(pins, mean(groups[name], task)) for pins, groups in shares.items() if name in groups]
                known = [(pins, found) for pins, found in points if found]
                halves = [found.half or 0.0 for _, found in known]
                look = _look(name) | {"ls": "-" if name == FULL else (0, (4, 2)), "label": _LABELS[name]}
                axes.errorbar([pins for pins, _ in known], [found.mean for _, found in known], yerr=halves, **look)
            axes.set_xscale("log", base=2)
            axes.set_xticks(list(shares), [f"{pins:,}" for pins in shares])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_ylim(bottom=0)
            axes.set_xlabel("training Pins")
        next(iter(panels.values())).set_ylabel("recall@10, fresh Pins")
        next(iter(panels.values())).legend(frameon=False, labelcolor=MUTED, loc="upper left")


def _look(name: str) -> dict[str, Any]:
    """Of an arm's dots."""
    colour = GREY if name == CLIP else OURS
    face = "white" if name == CLIP else colour
    return {"color": colour, "marker": "o", "ms": 5, "mfc": face, "lw": 1.4, "elinewidth": 1.2, "capsize": 2.5}


@contextmanager
def _panels(size: tuple[float, float], path: Path, **sharing: bool) -> Iterator[dict[str, "Axes"]]:
    """One panel a task, in the style of the report's charts; written to `path` at the end."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        panels = figure.subplots(1, len(DRAWN), **sharing)
        for task, axes in zip(DRAWN, panels, strict=True):
            axes.set_title(TASKS[task], fontsize=9.5, color=MUTED, loc="left")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color=RULE, lw=0.6)
            axes.set_axisbelow(True)
        yield dict(zip(DRAWN, panels, strict=True))
        with replaced(path) as scratch:
            figure.savefig(scratch, format="png", dpi=160)
