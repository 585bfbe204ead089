"""`pinclip ablate`, `pinclip scale` and `pinclip tune`: many trainings on one catalogue, compared in one folder.

studies/<name>/  study.json · table.md · *.png     what came out
                 trials/   finished trials: a repeated command takes them from here
                 data/     the catalogue prepared and walked;  work/  trials at work
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from components.studies.data import StudyData
from components.studies.foreign import foreign_trials
from components.studies.markdown_report import ablation_page, scaling_page, tuning_page
from components.studies.plots import ablation_plot, scaling_plot, tuning_plot
from components.studies.scaling import by_pins, scaling_trials
from components.studies.search_space import read_space
from components.studies.tables import MAIN, study_figures, trials_by_name
from components.studies.trials import Record, StudyProgress, Trial, run_trials
from components.studies.tuning import Search
from components.studies.tuning import tune as search_settings
from model.config import Config
from model.config.arms import arms
from model.errors import ConfigError
from model.files import write_json, write_text
from pipelines.failure import PipelineFailed
from pipelines.lineage import CODE, git_revision
from pipelines.towers import check_towers

STUDIES = Path("studies")
SPACE = CODE / "specs" / "tune.yaml"


def ablate(
    catalogue: Path,
    config: Config,
    names: Sequence[str],
    against: Sequence[str],
    seeds: int,
    out: Path | None,
    parallel: int | None,
) -> None:
    """Trains every arm with every seed and the same budget, and compares them on the fresh Pins.

    `against`: foreign image–text models beside them, by folder or name on the hub.

    Raises:
        PinclipError: a mistake of the user's before the first trial.
        PipelineFailed: a trial failed; the others are in the tables.
    """
    _check(seeds=seeds, parallel=parallel)
    configs, foreign = arms(names, config), foreign_trials(against, config, seeds)
    data, out = _opened(catalogue, config, out, "ablate")
    trials = [Trial(name, config.seed + i, changed) for i in range(seeds) for name, changed in configs.items()]
    records = _run([*trials, *foreign], data, out, parallel)
    groups = trials_by_name(records)
    if groups:
        write_text(out / "table.md", ablation_page(config, groups, records))
        ablation_plot(groups, out / "arms.png")
    _finish(out, {"study": "ablate", "catalogue": str(catalogue), "figures": study_figures(groups)}, records)


def scale(catalogue: Path, config: Config, seeds: int, out: Path | None, parallel: int | None) -> None:
    """Trains PinCLIP and the CLIP objective on growing shares of the training Pins, with the same number of steps.

    Raises: as ablate() does.
    """
    _check(seeds=seeds, parallel=parallel)
    data, out = _opened(catalogue, config, out, "scale")
    records = _run(scaling_trials(config, data, seeds), data, out, parallel)
    shares = by_pins(records)
    if shares:
        write_text(out / "table.md", scaling_page(config, shares, records))
        scaling_plot(shares, out / "scaling.png")
    measured = {str(pins): study_figures(groups) for pins, groups in shares.items()}
    _finish(out, {"study": "scale", "catalogue": str(catalogue), "figures": measured}, records)


def tune(
    catalogue: Path, config: Config, trials: int, space: Path | None, out: Path | None, parallel: int | None
) -> None:
    """Searches better settings, judged on validation Pins, and prints the best as `--set` takes them.

    Raises: as ablate() does.
    """
    _check(trials=trials, parallel=parallel)
    drawn = read_space(space or SPACE, config)
    data, out = _opened(catalogue, config, out, "tune")
    search = Search(config, drawn, data, out, git_revision(CODE), trials)
    with _display(Console()) as show:
        scored, failed = search_settings(search, parallel, show)
    if scored:
        write_text(out / "table.md", tuning_page(search, scored, failed))
        tuning_plot(scored, drawn, out / "tuning.png")
    best = {"best": scored[0].record["key"], "score": scored[0].score} if scored else {}
    records = [*(one.record for one in scored), *failed]
    _finish(out, {"study": "tune", "catalogue": str(catalogue), "figures": best}, records)


def _check(**numbers: int | None) -> None:
    for name, value in numbers.items():
        if value is not None and value < 1:
            raise ConfigError(f"--{name} is {value}; choose at least 1.")


def _opened(catalogue: Path, config: Config, out: Path | None, study: str) -> tuple[StudyData, Path]:
    """The study's data and its folder; the default folder is the same again for the same catalogue."""
    check_towers(config)
    out = (out or STUDIES / f"{study}-{catalogue.absolute().parent.name}-{catalogue.name}").absolute()
    return StudyData.of(catalogue, out / "data"), out


def _run(trials: Sequence[Trial], data: StudyData, out: Path, parallel: int | None) -> list[Record]:
    console = Console()
    with _display(console) as show:
        return run_trials(trials, data, out, git_revision(CODE), parallel, show)


@contextmanager
def _display(console: Console) -> Iterator[Callable[[StudyProgress], None]]:
    """Prints a line for every trial that ends, and the progress of the study: below the lines at a terminal, else at
    intervals."""
    status = Status("starting …", console=console)
    shown = 0.0

    def show(progress: StudyProgress) -> None:
        nonlocal shown
        if progress.finished:
            console.print(f"{progress.done}/{progress.total}  {_line(progress.finished)}", **PLAIN)
        rest = f"  about {_duration(progress.rest)} left" if progress.rest is not None else ""
        message = f"{progress.fraction:.0%} of {progress.total} trials{rest}"
        if console.is_terminal:
            status.update(message)
        elif progress.fraction - shown >= EVERY and progress.done < progress.total:
            shown = progress.fraction
            console.print(message, **PLAIN)

    if console.is_terminal:
        with status:
            yield show
    else:
        yield show


PLAIN: dict[str, Any] = {"markup": False, "highlight": False, "soft_wrap": True}
EVERY = 0.05  # share of the study between two plain lines


def _line(record: Record) -> str:
    named = f"{record['name']}, seed {record['seed']}"
    if "error" in record:
        return f"{named}  failed: {record['error']}"
    found = record["fresh"]
    tasks = [f"{task} {found[task]:.3f}" for task in MAIN if task in found]
    return "  ".join([named, f"{record['training_pins']:,} Pins", *tasks, f"{record['seconds']:.0f} s"])


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _finish(out: Path, study: dict[str, Any], records: Sequence[Record]) -> None:
    """Writes study.json, prints where the results are, and raises if a trial failed."""
    write_json(out / "study.json", study | {"trials": list(records)})
    console = Console()
    failed = [record for record in records if "error" in record]
    if len(failed) < len(records):
        console.print(f"\n{(out / 'table.md').read_text(encoding='utf-8')}\nAll of it: {out}", **PLAIN)
    if failed:
        first = failed[0]
        raise PipelineFailed(
            f"{len(failed)} of {len(records)} trials failed, first {first['name']} with seed {first['seed']}: "
            f"{first['error']}"
        )
