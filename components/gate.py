"""The gate: may this model version become the challenger? Pure: figures and floors in, a verdict in sentences out.

The figures are those of metrics.json and of the comparison with the champion (model/evaluation/comparison.py); the
floors and ceilings are the section `gate` of the settings, which stands here.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from model.config.overrides import section

LEAST = 20  # groups of queries; with fewer, a difference does not refuse a version
MEGABYTE = 1_000_000
OTHERS = {"champion": "the champion's", "clip": "the CLIP objective's"}
Share = Annotated[float, Field(ge=0, le=1)]
Check = tuple[bool | None, str]  # whether a rule is kept (None: its figure was not measured), and a sentence
Growth = Annotated[float, Field(gt=0, le=1_000_000)]  # times the champion's


@section
class GateConfig:
    """What a model version must reach to become the challenger."""

    min_fresh_related: Share = 0.0  # related_pins recall@10 on fresh Pins
    min_fresh_search: Share = 0.0
    min_gain_over_clip: float = Field(default=0.0, ge=-1, le=1_000_000)  # relative, fresh related_pins recall@10
    # Share of the CLIP objective's recall@10 on fresh Pins that may surely be lost, any task.
    max_loss_to_clip: Share = 0.0
    min_retention: Share = 0.95  # quantized over float recall, the worst task; less must be sure
    max_slice_gap: Share = (
        0.9  # how far a slice's recall@10 may surely lie below that of all (model/evaluation/slices.py)
    )
    max_regression: Share = 0.02  # share of the champion's recall@10 on fresh Pins that may surely be lost, any task
    # Share of the former version's recall@10 on its own vectors that queries of a version compatible with it must find
    # there (train.compatible_with); less must be sure.
    min_compatibility: Share = 0.97
    # Milliseconds to encode one Pin, measured where the step compare runs.
    max_latency_ms: float = Field(default=2000.0, gt=0, le=1_000_000_000)
    max_latency_growth: Growth = 3.0
    max_weights_growth: Growth = 3.0
    max_vector_growth: Growth = 3.0  # bytes of a stored vector


@dataclass(frozen=True)
class Verdict:
    """`reasons` are readable sentences: every broken rule, or every rule that was kept where none was broken; then
    with whom the version was compared, and what was not measured."""

    passed: bool
    reasons: tuple[str, ...]
    unmeasured: int = 0  # rules without a figure that no floor asks for: neither kept nor broken

    @property
    def said(self) -> str:
        """passed · not passed · passed, 1 figure not measured"""
        missing = f", {self.unmeasured} figure{'s' * (self.unmeasured > 1)} not measured" if self.unmeasured else ""
        return f"{'passed' if self.passed else 'not passed'}{missing}"


def gate_verdict(metrics: Mapping[str, Any], comparison: Mapping[str, Any], gate: GateConfig) -> Verdict:
    """Measures a run against the gate.

    A figure that could not be measured (a catalogue without queries has no search recall) breaks a floor above 0; any
    other floor is then neither kept nor broken, and the verdict says so. A champion that could not be compared refuses
    the version; where there is no champion, nothing is compared.
    """
    related = _figure(metrics, "fresh", "related_pins", "recall@10")
    search = _figure(metrics, "fresh", "search", "recall@10")
    gain = _gain(related, _figure(metrics, "baseline_clip", "fresh", "related_pins", "recall@10"))
    checks = [
        _check("Related Pins recall@10 on fresh Pins", related, gate.min_fresh_related, no_floor=0),
        _check("Search recall@10 on fresh Pins", search, gate.min_fresh_search, no_floor=0),
        _check(
            "The gain over CLIP in Related Pins recall@10 on fresh Pins", gain, gate.min_gain_over_clip, no_floor=-1
        ),
        _check_retention(metrics, gate.min_retention),
        _check_slices(metrics, gate.max_slice_gap),
        *(_check_task(one, "clip", gate.max_loss_to_clip) for one in metrics.get("over_clip", {}).items()),
        *(_check_task(one, "champion", gate.max_regression) for one in comparison["tasks"].items()),
        *_check_compatible(comparison["compatible"], gate.min_compatibility),
        *_check_cost(comparison["cost"], gate),
    ]
    compared, who = _compared(comparison)
    passed = compared and all(kept is not False for kept, _ in checks)
    unmeasured = [sentence for kept, sentence in checks if kept is None]
    reasons = (sentence for kept, sentence in checks if kept is passed)
    return Verdict(passed, (*reasons, who, *unmeasured), len(unmeasured))


def compatible_space(comparison: Mapping[str, Any], gate: GateConfig) -> str:
    """The space, "v3", whose vectors were measured to be comparable with the new ones; "" without.

    A version that is not surely below the floor passes the gate, and is called compatible only if it reaches it.
    """
    compatible = comparison["compatible"]
    if not compatible or not compatible["tasks"]:
        return ""
    kept = [found["ours"] >= gate.min_compatibility * found["former"] for found in compatible["tasks"].values()]
    return f"v{compatible['version']}" if all(kept) else ""


def _check(name: str, value: float | None, floor: float, no_floor: float) -> Check:
    """`no_floor`: the floor that every figure reaches, which is none."""
    if value is None:
        asked = floor > 0
        return False if asked else None, f"{name} was not measured" + (f"; the floor is {floor:.3f}." if asked else ".")
    if value < floor:
        return False, f"{name} is {value:.3f}, below the floor of {floor:.3f}."
    return True, f"{name} is {value:.3f}; " + (f"the floor is {floor:.3f}." if floor > no_floor else "no floor is set.")


def _check_retention(metrics: Mapping[str, Any], floor: float) -> Check:
    """Refuses what is surely lost: even the upper end of a task's interval lies below the floor."""
    name, measured = "The share of recall kept after quantization, worst task,", metrics.get("quantization", {})
    ratios = {task: _figure(measured, "retention", task) for task in measured.get("retention", {})}
    kept = {task: ratio for task, ratio in ratios.items() if ratio is not None}
    most = {task: max([ratio, *measured.get("interval", {}).get(task, ())]) for task, ratio in kept.items()}
    worst = min(kept, key=lambda task: (most[task], kept[task]), default=None)
    if worst is None:
        return _check(name, None, floor, no_floor=0)
    if kept[worst] >= floor or most[worst] < floor:
        return _check(name, kept[worst], floor, no_floor=0)
    return True, f"{name} is {kept[worst]:.3f}, by its interval up to {most[worst]:.3f}; the floor is {floor:.3f}."


def _check_slices(metrics: Mapping[str, Any], ceiling: float) -> tuple[bool, str]:
    """Only the sure part of a gap counts, so that a slice of few queries breaks no ceiling by chance."""
    gap, limit = _figure(metrics, "slices", "largest", "sure_gap"), f"up to {ceiling:.0%} less is allowed"
    if gap is None:
        return True, f"No slice lies surely below all Pins; {limit}."
    found = metrics["slices"]["largest"]
    name = (
        f"{task_name(found['task'])} recall@10 of the slice {found['column']}={found['slice']}, {found['scope']} Pins"
    )
    below = f"is {found['recall@10']:.3f} (95 % interval {found['low']:.3f} to {found['high']:.3f})"
    at_best = f"even at the upper end it is {gap:.0%} less than the {found['all']:.3f} of all of them"
    return gap <= ceiling, f"{name}, {below}: {at_best}; {limit}."


def _check_task(compared: tuple[str, Mapping[str, Any]], other: str, margin: float) -> tuple[bool, str]:
    """Refuses what is surely worse: even the upper end of the difference's interval lies below the margin."""
    task, found = compared
    lost = margin * found[other]
    interval = f"{found['difference']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"
    name = f"{task_name(task)} recall@10 on fresh Pins is {found['ours']:.3f}"
    said = f"{name} against {OTHERS[other]} {found[other]:.3f}, {interval}"
    if found["groups"] < LEAST:
        return True, f"{said}; of so few queries, {found['queries']}, no difference is sure."
    if found["high"] < -lost:
        return False, f"{said}, surely more than the {lost:.3f} ({margin:.1%}) that may be lost."
    return True, f"{said}; {lost:.3f} ({margin:.1%}) may be lost."


def _check_compatible(compatible: Mapping[str, Any] | None, floor: float) -> Iterator[Check]:
    """A version that shall be compatible with a former one and is surely not is refused: readers would mix the two."""
    if not compatible:
        return
    name = f"version {compatible['version']}"
    if compatible["unread"]:
        yield False, f"Whether its vectors are comparable with those of {name} is unknown: {compatible['unread']}"
    for task, found in compatible["tasks"].items():
        asked, best = floor * found["former"], found["former"] + found["high"]
        share = found["ours"] / found["former"] if found["former"] else 1.0
        kept = best >= asked or found["groups"] < LEAST
        less = " It may be less by chance, so the version passes, but is not called compatible."
        yield (
            kept,
            f"{task_name(task)} recall@10 on fresh Pins with vectors of {name}: {found['ours']:.3f} by this version's "
            f"queries, {found['former']:.3f} by its own, {share:.1%}; the floor is {floor:.1%}."
            + (less if kept and share < floor else ""),
        )


def _check_cost(cost: Mapping[str, Any], gate: GateConfig) -> Iterator[tuple[bool, str]]:
    latency, weights, length = (cost[name] for name in ("latency_ms", "weights_bytes", "vector_bytes"))
    ms, ceiling = latency["ours"], gate.max_latency_ms
    yield ms <= ceiling, f"One Pin alone is encoded in {ms:.1f} ms; the ceiling is {ceiling:g} ms."
    if latency["champion"] is None:
        return
    yield _check_growth("One Pin alone is encoded in", latency, "{:.1f} ms", 1, gate.max_latency_growth)
    yield _check_growth("The weights take", weights, "{:.1f} MB", MEGABYTE, gate.max_weights_growth)
    yield _check_growth("A stored vector takes", length, "{:.0f} bytes", 1, gate.max_vector_growth)


def _check_growth(name: str, of: Mapping[str, float], form: str, unit: int, ceiling: float) -> tuple[bool, str]:
    times = of["ours"] / of["champion"]
    ours, champion = (form.format(of[side] / unit) for side in ("ours", "champion"))
    said = f"{name} {ours}, {times:.2f} times the champion's {champion}; the ceiling is {ceiling:g} times."
    return times <= ceiling, said


def _compared(comparison: Mapping[str, Any]) -> tuple[bool, str]:
    """(whether the champion, if there is one, was compared; a sentence on it)."""
    champion, seen = comparison["champion"], comparison["seen"]
    if champion is None:
        return True, "No version holds the alias champion: nothing was compared."
    name = f"the champion, version {champion['version']}"
    if comparison["unread"]:
        return False, f"Not compared with {name}: {comparison['unread']}"
    if not seen["share"]:
        return True, f"Compared with {name}, which was trained on none of these fresh Pins."
    share = f"{'' if seen['exactly'] else 'at most '}{seen['share']:.1%}"
    return True, f"Compared with {name}, which was trained on {share} of these fresh Pins: that favours it."


def task_name(task: str) -> str:
    """related_pins -> Related pins"""
    return task.replace("_", " ").capitalize()


def _figure(metrics: Any, *path: str) -> float | None:
    """The number at the path, or None where it is absent, null or NaN."""
    for key in path:
        metrics = metrics.get(key) if isinstance(metrics, Mapping) else None
    if isinstance(metrics, (int, float)) and not isinstance(metrics, bool) and math.isfinite(metrics):
        return float(metrics)
    return None


def _gain(ours: float | None, baseline: float | None) -> float | None:
    """(ours - baseline) / baseline; infinite over a baseline of 0."""
    if ours is None or baseline is None:
        return None
    if baseline == 0:
        return math.inf if ours > 0 else 0.0
    return ours / baseline - 1
