"""The page of a look: what has moved most comes first. One file, nothing fetched from outside.

write_page(drift, Path("index.html"))
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.report.loss_curves import CLIP, OURS, STYLE, UNSIGNED, inline
from model.drift.facts import UNITS
from model.files import write_text

if TYPE_CHECKING:
    from jinja2 import Environment

SHOWN = 6  # measures drawn
NAMES = {
    "centroid": "mean vector",
    "length": "length of the stored vector",
    "lost_neighbours": "neighbours that are others now",
    "without_vector": "Pins without vector",
    "newest_vector_hours": "age of the newest vector, hours",
}
NOTES = {
    "centroid": "cosine distance",
    "length": "before readers bring it to 1",
    "lost_neighbours": "of the ten nearest of a canary",
    "without_vector": "of those that have to have one",
    "newest_vector_hours": "in the offline rows",
}
SCOPES = {"all": "all Pins", "new": "new Pins"}


@dataclass(frozen=True)
class Drawing:
    """Two samples in the same bins: the area is the reference, the line is now. Of labels: pairs of bars."""

    svg: str
    ends: list[str]
    bars: list[tuple[str, float, float]]  # label, width before, width now
    summary: str


def write_page(drift: dict[str, Any], path: Path) -> None:
    measures = [one for one in drift["measures"] if not one["name"].startswith("skew/")]
    skew = sorted((one for one in drift["measures"] if one["name"].startswith("skew/")), key=lambda one: one["name"])
    drawn = [(one, _drawing(one)) for one in measures if one["histogram"]][:SHOWN]
    page = {"drift": drift, "measures": measures, "skew": skew, "drawn": drawn, "headline": drift_headline(drift)}
    write_text(path, _environment().get_template("page.html.j2").render(page))


def drift_headline(drift: dict[str, Any]) -> str:
    """One line: no drift, or which measures are over their threshold."""
    over = [measure_name(one) for one in drift["measures"] if one["over"]]
    if not over:
        return f"Quiet: none of {len(drift['measures'])} measures is over its threshold"
    rest = f" and {len(over) - 4} more" if len(over) > 4 else ""
    return f"Over the threshold in {', '.join(over[:4])}{rest}"


def measure_name(measure: dict[str, Any]) -> str:
    """A measure as people call it: brightness (new Pins)."""
    name = str(measure["name"])
    if name.startswith("skew/"):
        return f"{feature(measure)}, online against offline"
    shown = NAMES.get(name, name.replace("_", " "))
    return f"{shown} ({SCOPES['new']})" if measure["scope"] == "new" else shown


def feature(measure: dict[str, Any]) -> str:
    """pin_stats saves of skew/pin_stats__saves."""
    return str(measure["name"]).removeprefix("skew/").replace("__", " ")


def note(measure: dict[str, Any]) -> str:
    return NOTES.get(measure["name"]) or UNITS.get(measure["name"], "")


def _drawing(measure: dict[str, Any]) -> Drawing:
    seen = measure["histogram"]
    summary = f"{measure_name(measure)}: {measure['says']}"
    before, now = seen["before"], seen["now"]
    if seen["of_labels"]:
        bars = [(name, 100 * b, 100 * n) for name, b, n in zip(seen["names"], before, now, strict=True)]
        return Drawing("", [], bars, summary)
    return Drawing(_histogram(before, now), seen["names"], [], summary)


def _histogram(before: list[float], now: list[float]) -> str:
    """SVG in the page's own colours."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.3, 1.0), facecolor="none")
    axes = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[])
    axes.stairs(before, fill=True, color=CLIP, alpha=0.38, clip_on=False)
    axes.stairs(now, color=OURS, lw=1.6, clip_on=False)
    axes.set(xlim=(0, len(now)), ylim=(0, 1.05 * (max(*before, *now) or 1.0)))
    drawn = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(drawn, format="svg", metadata=UNSIGNED)
    return inline(drawn.getvalue())


def _environment() -> "Environment":
    """Escapes everything: paths and labels come from users."""
    import jinja2

    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([here, here.parent / "report"]),  # for its style.css
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        named=measure_name,
        feature=feature,
        note=note,
        count=lambda number: f"{number:,}",
        figure=lambda value: "–" if value is None else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}",
        minute=lambda time: "unknown" if time is None else str(time)[:16].replace("T", " "),
    )
    return environment
