"""table.md of a study: what was compared with what, on which Pins, and what came out."""

from collections.abc import Mapping, Sequence

from components.studies.tables import TASKS, Groups, gain_over, gain_table, gains, markdown, recall_table
from components.studies.trials import Record
from model.arms import CLIP, FULL
from model.config import Config

_HEAD = (
    "Recall@10 on fresh Pins, mean ± 95 % t-interval over {seeds} seed(s). Seeds move the initial weights and the "
    "batches; the split, the walks and the judged queries are the same for all trials (seed {seed}). PinText is the "
    "mean of image → text and text → image. The CLIP objective is judged by its strongest vector in each task: image, "
    "text or their mean. Profile {profile}, batch {batch}, {budget}. {code} Catalogue: {catalogue}."
)


def ablation_page(config: Config, groups: Groups, records: Sequence[Record]) -> str:
    """Tables whose arms were not trained are left out."""
    ideas = {name: trials for name, trials in groups.items() if name != CLIP}
    return _page(
        "# Ablation",
        _head(config, records, f"{config.train.epochs} epochs for every arm"),
        recall_table(groups, "arm"),
        _titled("Gain over the CLIP objective, paired by seed", gain_table(groups, "arm", CLIP)),
        _titled("Change of PinCLIP when the idea is taken away, paired by seed", gain_table(ideas, "arm", FULL)),
        _verdicts(ideas),
        failures(records),
    )


def scaling_page(config: Config, shares: Mapping[int, Groups], records: Sequence[Record]) -> str:
    """Rows by training Pins."""
    named = {f"{pins:,}, {name}": trials for pins, groups in shares.items() for name, trials in groups.items()}
    both = {pins: groups for pins, groups in shares.items() if {FULL, CLIP} <= groups.keys()}
    gained = [[f"{pins:,}", *gains(groups[FULL], groups[CLIP])] for pins, groups in both.items()]
    return _page(
        "# Scaling with data",
        _head(config, records, "the same number of steps on every share of the training Pins"),
        recall_table(named, "training Pins, arm"),
        _titled("Gain of PinCLIP over the CLIP objective, paired by seed", _gain_rows(gained)),
        failures(records),
    )


def _page(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _gain_rows(rows: Sequence[Sequence[str]]) -> str:
    return markdown(["training Pins", *TASKS.values()], rows) if rows else ""


def failures(records: Sequence[Record]) -> str:
    """A list of the trials that failed; empty where none did."""
    lines = [f"- {r['name']}, seed {r['seed']}: {r['error']}" for r in records if "error" in r]
    return _titled("Trials that failed", "\n".join(lines))


def revisions(records: Sequence[Record]) -> str:
    """Which code trained the trials: kept ones may be older than the command."""
    names = sorted({r["git_rev"] or "unknown" for r in records})
    return f"Code: {', '.join(names)}."


def _head(config: Config, records: Sequence[Record], budget: str) -> str:
    return _HEAD.format(
        seeds=len({record["seed"] for record in records}),
        seed=config.seed,
        profile=config.profile,
        batch=config.train.batch_size,
        budget=budget,
        code=revisions(records),
        catalogue=records[0]["catalogue_digest"][:12],
    )


def _titled(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _verdicts(groups: Groups) -> str:
    """For each idea: the tasks where its absence costs, where it helps, by intervals that leave out 0."""
    lines = []
    for name, trials in groups.items():
        if name == FULL or FULL not in groups:
            continue
        found = {task: gain_over(trials, groups[FULL], task) for task in ("related_pins", "search", "pintext")}
        sure = {task: g.mean for task, g in found.items() if g and g.half is not None and abs(g.mean) > g.half}
        worse, better = ([TASKS[t] for t, mean in sure.items() if (mean < 0) == sign] for sign in (True, False))
        said = [f"worse at {', '.join(worse)}"] * bool(worse) + [f"better at {', '.join(better)}"] * bool(better)
        lines.append(f"- {name}: {'; '.join(said) or 'no difference beyond the intervals'}.")
    return _titled("Beyond the intervals, without the idea the vectors are", "\n".join(lines))
