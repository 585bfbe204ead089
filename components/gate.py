"""The gate: may this model version become the challenger? Pure: figures and floors in, a verdict in sentences out.

The figures are those of metrics.json; the floors are the `gate` section of the configuration.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.config import GateConfig


@dataclass(frozen=True)
class Verdict:
    """`reasons` are readable sentences: every broken floor, or every floor that was met where none was broken."""

    passed: bool
    reasons: tuple[str, ...]


def judge(metrics: Mapping[str, Any], gate: GateConfig) -> Verdict:
    """Measures a run against the gate.

    A figure that could not be measured (a catalogue without queries has no search recall) breaks any floor above 0
    and no other: what nobody asked for cannot be missing.
    """
    related = _figure(metrics, "fresh", "related_pins", "recall@10")
    search = _figure(metrics, "fresh", "search", "recall@10")
    gain = _gain(related, _figure(metrics, "baseline_clip", "fresh", "related_pins", "recall@10"))
    checks = [
        _check("Related Pins recall@10 on fresh Pins", related, gate.min_fresh_related),
        _check("Search recall@10 on fresh Pins", search, gate.min_fresh_search),
        _check("The gain over CLIP in Related Pins recall@10 on fresh Pins", gain, gate.min_gain_over_clip),
        _check("The share of recall kept after quantization, worst task,", _retention(metrics), gate.min_retention),
        _check_slices(metrics, gate.max_slice_gap),
    ]
    broken = tuple(sentence for met, sentence in checks if not met)
    return Verdict(passed=not broken, reasons=broken or tuple(sentence for _, sentence in checks))


def _check(name: str, value: float | None, floor: float) -> tuple[bool, str]:
    if value is None:
        return floor <= 0, f"{name} was not measured; the floor is {floor:.3f}."
    if value < floor:
        return False, f"{name} is {value:.3f}, below the floor of {floor:.3f}."
    return True, f"{name} is {value:.3f}; the floor is {floor:.3f}."


def _check_slices(metrics: Mapping[str, Any], ceiling: float) -> tuple[bool, str]:
    """Only what is sure of a gap counts, so that a slice of few queries breaks no ceiling by bad luck."""
    gap, limit = _figure(metrics, "slices", "largest", "sure_gap"), f"the ceiling is {ceiling:.0%}"
    if gap is None:
        return True, f"No slice lies surely below all Pins; {limit}."
    found = metrics["slices"]["largest"]
    task = found["task"].replace("_", " ").capitalize()
    name = f"{task} recall@10 of the slice {found['column']}={found['slice']}, {found['scope']} Pins"
    below = f"is {found['recall@10']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
    sentence = f"{name}, {below}, surely {gap:.0%} below the {found['all']:.3f} of all slices; {limit}."
    return gap <= ceiling, sentence


def _figure(metrics: Any, *path: str) -> float | None:
    """The number at the path, or None where it is absent, null or NaN."""
    for key in path:
        metrics = metrics.get(key) if isinstance(metrics, Mapping) else None
    if isinstance(metrics, (int, float)) and not isinstance(metrics, bool) and math.isfinite(metrics):
        return float(metrics)
    return None


def _gain(ours: float | None, baseline: float | None) -> float | None:
    """(ours - baseline) / baseline; a baseline that finds nothing is beaten by anything without bound."""
    if ours is None or baseline is None:
        return None
    if baseline == 0:
        return math.inf if ours > 0 else 0.0
    return ours / baseline - 1


def _retention(metrics: Mapping[str, Any]) -> float | None:
    tasks = metrics.get("quantization", {}).get("retention", {})
    ratios = [ratio for task in tasks if (ratio := _figure(tasks, task)) is not None]
    return min(ratios, default=None)
