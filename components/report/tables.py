"""metrics.json and the configuration as the rows of the report; what was not measured is marked so and never shown as
0."""

import math
from dataclasses import dataclass
from typing import Any

from components.configuration import PROFILES, Configuration
from model.config.overrides import override
from model.data.catalogue import SCHEMAS

# (path in metrics.json, label, its measures), in the order they are shown
TASKS = (
    (("related_pins",), "Related Pins", ("recall@10", "ndcg@10")),
    (("search",), "Search", ("recall@10",)),
    (("pintext", "image_to_text"), "PinText, image → text", ("recall@1", "recall@10")),
    (("pintext", "text_to_image"), "PinText, text → image", ("recall@1", "recall@10")),
)
LABELS = {path[-1]: label for path, label, _ in TASKS} | {"pintext": "PinText"}


@dataclass(frozen=True)
class Metric:
    name: str  # recall@10
    ours: float | None
    clip: float | None

    @property
    def gain(self) -> float | None:
        """Relative to the CLIP objective: 0.2 is 20 % more; None where there is nothing to divide by."""
        return self.ours / self.clip - 1 if self.ours is not None and self.clip else None


@dataclass(frozen=True)
class MetricRows:
    label: str
    measures: list[Metric]
    absent: str | None  # why it was not measured


@dataclass(frozen=True)
class Setting:
    key: str
    value: Any
    profile: Any  # what the profile says

    @property
    def changed(self) -> bool:
        return self.value != self.profile


@dataclass(frozen=True)
class Intake:
    name: str  # of the table
    read: int
    kept: int
    quarantined: int  # broken rows
    dropped: int  # sound rows that must not or need not enter


@dataclass(frozen=True)
class Refusal:
    table: str
    reason: str
    account: str  # quarantined or left out
    rows: int


def tasks(ours: dict[str, Any], clip: dict[str, Any], catalogue: dict[str, Any]) -> list[MetricRows]:
    """The recall table of one split; `ours` and `clip` hold the groups pintext, related_pins and search."""
    table = []
    for path, label, names in TASKS:
        left, right = _at(ours, path), _at(clip, path)
        measures = [Metric(name, finite(left.get(name)), finite(right.get(name))) for name in names]
        measured = any(measure.ours is not None for measure in measures)
        table.append(MetricRows(label, measures, None if measured else _absence(path[0], catalogue)))
    return table


def report_headline(table: list[MetricRows]) -> tuple[str, Metric] | None:
    """The figure to read first: recall@10 of the first task of the table that was measured."""
    found = ((t.label, m) for t in table for m in t.measures if m.name == "recall@10" and m.ours is not None)
    return next(found, None)


def retention(quantization: dict[str, Any]) -> list[tuple[str, float | None]]:
    """(task, quantized over float recall)."""
    ratios = quantization.get("retention") or {}
    return [(LABELS.get(task, task), finite(ratio)) for task, ratio in ratios.items()]


def step_seconds(timing_s: dict[str, float]) -> list[tuple[str, float, float]]:
    """(step, seconds, share of the longest step), in the order the steps ran."""
    longest = max(timing_s.values(), default=0) or 1
    return [(step, value, value / longest) for step, value in timing_s.items()]


def settings(config: Configuration) -> list[tuple[str, list[Setting]]]:
    """The sections of the configuration tree; values outside any section stand first, as "run"."""
    values = config.to_dict()
    profile = override(Configuration(), PROFILES.get(config.profile, {})).to_dict()
    sections: dict[str, list[Setting]] = {"run": []}
    for name, value in values.items():
        if isinstance(value, dict):
            sections[name] = [Setting(key, value[key], profile[name][key]) for key in value]
        else:
            sections["run"].append(Setting(name, value, profile[name]))
    return list(sections.items())


def intake(summary: dict[str, Any]) -> tuple[list[Intake], list[Refusal]]:
    """What the preparation (summary.json) did with the rows of each table, and why; the commonest reason first."""
    tables, refusals = [], []
    for name in (table for table in SCHEMAS if table in summary):
        rows = summary[name]
        quarantined, dropped = rows["quarantined"], rows["dropped"]
        tables.append(Intake(name, rows["read"], rows["kept"], sum(quarantined.values()), sum(dropped.values())))
        refusals += [Refusal(name, reason, "quarantined", n) for reason, n in quarantined.items()]
        refusals += [Refusal(name, reason, "left out", n) for reason, n in dropped.items()]
    return tables, sorted(refusals, key=lambda refusal: -refusal.rows)


def finite(value: Any) -> float | None:
    """A finite number, or None: a NaN is no measurement."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _at(group: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The measures at `path`; an absent or null group has none."""
    node: Any = group
    for key in path:
        node = (node or {}).get(key)
    return node or {}


def _absence(task: str, catalogue: dict[str, Any]) -> str:
    if task == "related_pins":
        return "no boards" if not catalogue.get("boards") else "too few saved Pins"
    return {"search": "no queries", "pintext": "no texts"}[task]
