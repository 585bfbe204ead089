"""The trials of a study as means with 95 % intervals over seeds, and as gains over the CLIP objective.

study.json   what was asked, every trial's record, and the same means and gains for machines
table.md     for people
"""

from collections.abc import Sequence
from typing import Any

from components.studies.trials import Record
from model.config.arms import CLIP
from model.evaluation.intervals import Interval, gain, interval

TASKS = {
    "related_pins": "Related Pins",
    "search": "Search",
    "pintext": "PinText",
    "image_to_text": "image → text",
    "text_to_image": "text → image",
}
MAIN = ("related_pins", "search", "pintext")
Groups = dict[str, list[Record]]  # finished trials by name


def trials_by_name(records: Sequence[Record]) -> Groups:
    """The trials that did not fail, in the order of their names' first appearance, each by rising seed."""
    groups: Groups = {}
    for record in sorted(records, key=lambda record: record["seed"]):
        if "error" not in record:
            groups.setdefault(record["name"], []).append(record)
    order = list(dict.fromkeys(record["name"] for record in records))
    return {name: groups[name] for name in order if name in groups}


def mean(trials: Sequence[Record], task: str, scope: str = "fresh") -> Interval | None:
    """Recall@10 over seeds; None where the catalogue has no queries for this task."""
    values = [trial[scope][task] for trial in trials if task in trial[scope]]
    return interval(values) if values else None


def gain_over(trials: Sequence[Record], others: Sequence[Record], task: str) -> Interval | None:
    """The gain of recall@10 on fresh Pins over other trials, paired by seed."""
    theirs = {trial["seed"]: trial["fresh"].get(task) for trial in others}
    pairs = [(trial["fresh"][task], theirs[trial["seed"]]) for trial in trials if theirs.get(trial["seed"]) is not None]
    return gain(*zip(*pairs, strict=True)) if pairs else None


def study_figures(groups: Groups) -> dict[str, Any]:
    """{name: {task: {recall, recall_half, gain, gain_half}}} for study.json; absent where it cannot be computed."""
    said: dict[str, Any] = {}
    for name, trials in groups.items():
        for task in TASKS:
            row = _fields("recall", mean(trials, task))
            if name != CLIP:
                row |= _fields("gain", gain_over(trials, groups.get(CLIP, []), task))
            said.setdefault(name, {})[task] = row
    return said


def recall_table(groups: Groups, first: str) -> str:
    """Markdown: recall@10 on fresh Pins, mean ± 95 %, a row for each name; what it costs last."""
    header = [first, *TASKS.values(), "seeds", "s a training", "parameters"]
    rows = []
    for name, trials in groups.items():
        seconds = sum(trial["train_seconds"] for trial in trials) / len(trials)
        cells = [_text(mean(trials, task)) for task in TASKS]
        rows.append([name, *cells, str(len(trials)), f"{seconds:.0f}", f"{trials[0]['parameters']:,}"])
    return markdown(header, rows)


def gain_table(groups: Groups, first: str, over: str) -> str:
    """Markdown: gain of every name over the name `over`, paired by seed; empty where that was not trained."""
    if over not in groups:
        return ""
    rows = [[name, *gains(trials, groups[over])] for name, trials in groups.items() if name != over]
    return markdown([first, *TASKS.values()], rows) if rows else ""


def gains(trials: Sequence[Record], others: Sequence[Record]) -> list[str]:
    """+55.0% ± 6.4% of each task."""
    return [_text(gain_over(trials, others, task), "+.1%") for task in TASKS]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _text(found: Interval | None, form: str = ".3f") -> str:
    return found.text(form) if found else "–"


def _fields(name: str, found: Interval | None) -> dict[str, float | None]:
    return {name: found.mean, f"{name}_half": found.half} if found else {}
