"""table.md of a study: what was compared with what, on which Pins, and what came out."""

from collections.abc import Sequence

from components.studies.tables import TASKS, Groups, gain_over, gain_table, recall_table
from components.studies.trials import Record
from model.arms import CLIP, FULL
from model.config import Config

HEAD = (
    "Recall@10 on {pins}, mean ± 95 % t-interval over {seeds} seeds. Seeds move the initial weights and the batches; "
    "the split, the walks and the judged queries are the same for all trials (seed {seed}). {pintext}\n"
)
PINTEXT = "PinText is the mean of image → text and text → image."


def ablation_page(config: Config, groups: Groups, records: Sequence[Record]) -> str:
    """Raises nothing for missing arms: their tables are left out."""
    parts = [
        "# Ablation",
        _head(config, records, "fresh Pins")
        + f"Every arm: {config.train.epochs} epochs, batch {config.train.batch_size}, profile {config.profile}. "
        "The CLIP objective is judged by its strongest vector in each task: image, text or their mean.",
        recall_table(groups, "arm"),
        _titled("Gain over the CLIP objective, paired by seed", gain_table(groups, "arm", CLIP)),
        _titled("Against PinCLIP, paired by seed: what taking the idea away changes", gain_table(groups, "arm", FULL)),
        _verdicts(groups),
        failures(records),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def failures(records: Sequence[Record]) -> str:
    """A list of the trials that failed; empty where none did."""
    lines = [f"- {r['name']}, seed {r['seed']}: {r['error']}" for r in records if "error" in r]
    return _titled("Trials that failed", "\n".join(lines))


def revisions(records: Sequence[Record]) -> str:
    """Which code trained the trials: kept ones may be older than the command."""
    names = sorted({r["git_rev"] or "unknown" for r in records})
    return f"Code: {', '.join(names)}."


def _head(config: Config, records: Sequence[Record], pins: str) -> str:
    seeds = len({record["seed"] for record in records})
    head = HEAD.format(pins=pins, seeds=seeds, seed=config.seed, pintext=PINTEXT)
    return f"{head}{revisions(records)} Catalogue: {records[0]['catalogue_digest'][:12]}.\n"


def _titled(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _verdicts(groups: Groups) -> str:
    """For each idea: the tasks where its absence costs, where it helps, by intervals that leave out 0."""
    lines = []
    for name, trials in groups.items():
        if name in (FULL, CLIP) or FULL not in groups:
            continue
        found = {task: gain_over(trials, groups[FULL], task) for task in ("related_pins", "search", "pintext")}
        sure = {task: g.mean for task, g in found.items() if g and g.half is not None and abs(g.mean) > g.half}
        worse, better = ([TASKS[t] for t, mean in sure.items() if (mean < 0) == sign] for sign in (True, False))
        said = [f"worse at {', '.join(worse)}"] * bool(worse) + [f"better at {', '.join(better)}"] * bool(better)
        lines.append(f"- {name}: {'; '.join(said) or 'no difference beyond the intervals'}.")
    return _titled("Beyond the intervals, without the idea the vectors are", "\n".join(lines))
