"""table.md of a study: what was compared, on which Pins, and the results."""

from collections.abc import Mapping, Sequence

from components.studies.foreign import is_foreign
from components.studies.search_space import SearchSpace, as_text, setting_value
from components.studies.tables import MAIN, TASKS, Groups, gain_over, gain_table, gains, markdown, recall_table
from components.studies.trials import Record
from components.studies.tuning import Scored, Search, best_settings
from model.config import Config
from model.config.arms import CLIP, FULL

_HEAD = (
    "Recall@10 on fresh Pins, mean ± 95 % t-interval over {seeds} seed(s). Seeds move the initial weights and the "
    "batches; the split, the walks and the judged queries are the same for all trials (seed {seed}). PinText is the "
    "mean of image → text and text → image. The CLIP objective is judged by its strongest vector in each task: image, "
    "text or their mean. Profile {profile}, batch {batch}, {budget}. {code} Catalogue: {catalogue}."
)


_FOREIGN = (
    "As it is: no training. Heads alone: the model is frozen, and a head above its image vector and one above its text "
    "vector learn by the CLIP objective. Both are judged by the strongest of image, text and mean vector in each task. "
    "Images are squeezed into the square that the model reads."
)


def ablation_page(config: Config, groups: Groups, records: Sequence[Record]) -> str:
    """Tables whose arms were not trained are left out."""
    ideas = {name: trials for name, trials in groups.items() if name != CLIP and not is_foreign(name)}
    foreign = {name: trials for name, trials in groups.items() if is_foreign(name)}
    return _page(
        "# Ablation",
        _head(config, records, f"{config.train.epochs} epochs for every arm"),
        recall_table(groups, "arm"),
        _titled("Gain over the CLIP objective, paired by seed", gain_table(groups, "arm", CLIP)),
        _foreign(groups, foreign),
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


def tuning_page(search: Search, scored: Sequence[Scored], failed: Sequence[Record]) -> str:
    """The trials, best first."""
    records = [one.record for one in scored]
    head = [TASKS[task] for task in MAIN]
    rows = [
        [
            f"{one.score:.4f}",
            *(f"{one.record['fresh'].get(task, 0):.3f}" for task in MAIN),
            *_settings(one, search.space),
        ]
        for one in scored
    ]
    return _page(
        "# Search for settings",
        "Recall@10 on validation Pins, held out from the training groups; the fresh Pins are left out of everything. "
        "The score is the geometric mean of the tasks. One training each, all with the same seed: the first places may "
        "owe their order to chance; compare what was found with the configuration as it was by `pinclip ablate` on "
        f"the fresh Pins. Profile {search.config.profile}, {search.config.train.epochs} epochs. {revisions(records)}",
        markdown(["score", *head, *search.space, ""], rows),
        _titled("The best", f"    {' '.join(best_settings(scored[0], search.space))}"),
        failures(failed),
    )


def _foreign(groups: Groups, foreign: Groups) -> str:
    """How much more PinCLIP finds than each foreign model."""
    if FULL not in groups or not foreign:
        return ""
    rows = [[name, *gains(groups[FULL], trials)] for name, trials in foreign.items()]
    table = markdown(["PinCLIP over", *TASKS.values()], rows)
    return f"## Gain of PinCLIP over other models, paired by seed\n\n{_FOREIGN}\n\n{table}"


def _settings(one: Scored, space: SearchSpace) -> list[str]:
    return [*(as_text(setting_value(one.config, key)) for key in space), "as it was" if one.as_it_was else ""]


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
        found = {task: gain_over(trials, groups[FULL], task) for task in MAIN}
        sure = {task: g.mean for task, g in found.items() if g and g.half is not None and abs(g.mean) > g.half}
        worse, better = ([TASKS[t] for t, mean in sure.items() if (mean < 0) == sign] for sign in (True, False))
        said = [f"worse at {', '.join(worse)}"] * bool(worse) + [f"better at {', '.join(better)}"] * bool(better)
        lines.append(f"- {name}: {'; '.join(said) or 'no difference beyond the intervals'}.")
    return _titled("Beyond the intervals, without the idea the vectors are", "\n".join(lines))
