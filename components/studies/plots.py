"""The pictures of a study, PNG: dots with their 95 % intervals; PinCLIP blue, the CLIP objective and foreign models
grey and hollow.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.report.loss_curves import CLIP as GREY
from components.report.loss_curves import MUTED, OURS, RULE, STYLE
from components.studies.foreign import is_foreign
from components.studies.search_space import Choices, Range, SearchSpace, as_text, setting_value
from components.studies.tables import MAIN, TASKS, Groups, mean
from components.studies.tuning import Scored
from model.config.arms import CLIP, FULL
from model.files import replaced

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3  # panels of a row
_LABELS = {FULL: "PinCLIP", CLIP: "CLIP objective"}


def ablation_plot(groups: Groups, path: Path) -> None:
    """A row for every arm, a panel for every task; the line is PinCLIP's mean."""
    from matplotlib.ticker import MaxNLocator

    names = list(groups)
    with _panels(_tasks(), 1.1 + 0.3 * len(names), path, sharey=True) as panels:
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
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.set_xlabel("recall@10, fresh Pins")


def scaling_plot(shares: Mapping[int, Groups], path: Path) -> None:
    """Recall against training Pins, each doubling as wide as the one before; the paper's Figure 5."""
    from matplotlib.ticker import NullLocator

    with _panels(_tasks(), 2.9, path) as panels:
        for task, axes in panels.items():
            for name in (FULL, CLIP):
                points = [(pins, mean(groups[name], task)) for pins, groups in shares.items() if name in groups]
                known = [(pins, found) for pins, found in points if found]
                halves = [found.half or 0.0 for _, found in known]
                look = _look(name) | {"ls": "-" if name == FULL else (0, (4, 2)), "label": _LABELS[name]}
                aside = 0.98 if name == FULL else 1.02  # so that neither interval hides the other
                axes.errorbar(
                    [pins * aside for pins, _ in known], [found.mean for _, found in known], yerr=halves, **look
                )
            axes.set_xscale("log", base=2)
            axes.set_xticks(list(shares), [f"{pins:,}" for pins in shares])
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_ylim(bottom=0)
            axes.set_xlabel("training Pins")
        first = next(iter(panels.values()))
        first.set_ylabel("recall@10, fresh Pins")
        first.figure.legend(
            *first.get_legend_handles_labels(), frameon=False, labelcolor=MUTED, loc="outside upper right", ncols=2
        )


def tuning_plot(scored: Sequence[Scored], space: SearchSpace, path: Path) -> None:
    """The score of every trial against each setting that was searched; the configuration as it was is hollow."""
    with _panels({key: key for key in space}, 2.5, path, sharey=True) as panels:
        for key, axes in panels.items():
            values = [setting_value(one.config, key) for one in scored]
            places = _along(axes, space[key], values)
            for one, place in zip(scored, places, strict=True):
                axes.plot([place], [one.score], "o", color=OURS, mfc="white" if one.as_it_was else OURS, ms=5)
        next(iter(panels.values())).set_ylabel("score, validation Pins")


def _along(axes: "Axes", drawn: Range | Choices, values: Sequence[Any]) -> list[float]:
    """Makes the x axis that of the drawn setting; where on it each value stands."""
    from matplotlib.ticker import NullLocator

    if isinstance(drawn, Choices):
        names = list(dict.fromkeys(as_text(value) for value in [*drawn.values, *values]))
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(names) - 0.5)
        return [float(names.index(as_text(value))) for value in values]
    if drawn.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        ticks = [drawn.low, math.sqrt(drawn.low * drawn.high), drawn.high]
        axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
    return [float(value) for value in values]


def _tasks() -> dict[str, str]:
    return {task: TASKS[task] for task in MAIN}


def _look(name: str) -> dict[str, Any]:
    """Of an arm's dots."""
    other = name == CLIP or is_foreign(name)
    colour = GREY if other else OURS
    face = "white" if other else colour
    return {"color": colour, "marker": "o", "ms": 5, "mfc": face, "lw": 1.4, "elinewidth": 1.2, "capsize": 2.5}


@contextmanager
def _panels(titles: Mapping[str, str], height: float, path: Path, **sharing: bool) -> Iterator[dict[str, "Axes"]]:
    """A panel for each title, in the style of the report's charts, three a row of `height` inches; writes `path`."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        from matplotlib.figure import Figure

        rows, columns = math.ceil(len(titles) / COLUMNS), min(len(titles), COLUMNS)
        figure = Figure(figsize=(8.0, height * rows), layout="constrained", facecolor="white")
        panels = list(figure.subplots(rows, columns, squeeze=False, **sharing).flat)
        for title, axes in zip(titles.values(), panels, strict=False):
            axes.set_title(title, fontsize=9.5, color=MUTED, loc="left")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(color=RULE, lw=0.6)
            axes.set_axisbelow(True)
        for axes in panels[len(titles) :]:
            axes.set_visible(False)
        yield dict(zip(titles, panels, strict=False))
        with replaced(path) as scratch:
            figure.savefig(scratch, format="png", dpi=160)
