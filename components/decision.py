"""What a reviewer reads first, in three lines: better or worse, where it is weakest, what was decided and why."""

from collections.abc import Iterator, Mapping
from typing import Any

from components.gate import LEAST, Verdict, task_name

Found = Mapping[str, Any]  # of one task: see model/evaluation/paired.py


def decision(metrics: Mapping[str, Any], comparison: Mapping[str, Any], verdict: Verdict) -> tuple[str, str, str]:
    """(against whom it is better or worse, the weakest task and slice, the decision and its first reason).

    It is compared with the champion, or with the CLIP objective where there is none.
    """
    champion = comparison["champion"] if comparison["tasks"] else None
    tasks, key = (comparison["tasks"], "champion") if champion else (metrics.get("over_clip") or {}, "clip")
    other = f"the champion, version {champion['version']}" if champion else "the CLIP objective"
    return (
        _sides(tasks, other) if tasks else "Nothing was compared: no task could be measured.",
        " ".join((*_weakest_task(tasks, key), *_weakest_slice(metrics))) or "No weakest task: nothing was measured.",
        _decided(verdict) + _comparable(comparison["compatible"]),
    )


def _sides(tasks: Mapping[str, Found], other: str) -> str:
    enough = {task: found for task, found in tasks.items() if found["groups"] >= LEAST}
    better = [task for task, found in enough.items() if found["low"] > 0]
    worse = [task for task, found in enough.items() if found["high"] < 0]
    unsure = [task for task in tasks if task not in (*better, *worse)]
    said = [f"{word} on {_names(of)}" for word, of in (("better", better), ("worse", worse)) if of]
    said += [f"no sure difference on {_names(unsure)}"] if unsure else []
    return f"Against {other}, recall@10 on fresh Pins: {'; '.join(said)}."


def _weakest_task(tasks: Mapping[str, Found], key: str) -> Iterator[str]:
    compared = {task: found for task, found in tasks.items() if found[key] > 0}
    if compared:
        task = min(compared, key=lambda name: compared[name]["difference"] / compared[name][key])
        found = compared[task]
        interval = f"{found['difference']:+.3f}, {found['low']:+.3f} to {found['high']:+.3f}"
        yield f"Weakest task: {task_name(task)}, {found['ours']:.3f} against {found[key]:.3f} ({interval})."


def _weakest_slice(metrics: Mapping[str, Any]) -> Iterator[str]:
    if found := (metrics.get("slices") or {}).get("largest"):
        name = f"{found['column']}={found['slice']}, {task_name(found['task'])} on {found['scope']} Pins"
        yield f"Weakest slice: {name}, {found['recall@10']:.3f} against {found['all']:.3f} of all of them."


def _decided(verdict: Verdict) -> str:
    if verdict.passed:
        return f"Gate {verdict.said}: this version becomes the challenger, and a person decides whether it serves."
    return f"Gate {verdict.said}: this version stays as it is. {verdict.reasons[0]}"


def _comparable(compatible: Found | None) -> str:
    """The share of the former version's recall that this version's queries keep on its vectors."""
    if not compatible or not compatible["tasks"]:
        return ""
    kept = [
        f"{task_name(task)} {found['ours'] / found['former']:.0%}"
        for task, found in compatible["tasks"].items()
        if found["former"]
    ]
    return f" On vectors of version {compatible['version']} its queries keep, of the recall there: {', '.join(kept)}."


def _names(tasks: list[str]) -> str:
    return ", ".join(map(task_name, tasks))
