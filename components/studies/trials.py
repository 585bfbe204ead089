"""Runs trials side by side on Ray, each a process with one thread; a finished trial is kept and never repeated.

A study's folder holds trials/<key>.json, one finished trial each. The key is a digest of the configuration, the seed
and the catalogue: a command that was killed, or is repeated, goes on where it was. work/<key>/ is a trial at work: the
snapshot that it goes on from, and how far it is.
"""

import json
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.ray.cluster import ray_cluster
from components.settings import EXTRACTED, Settings
from components.studies.data import StudyData, digest_of
from model.config import Config
from model.errors import PinclipError
from model.files import remove, write_json, write_text

POLL = 2.0  # seconds between two looks at the trials at work
Record = dict[str, Any]  # trials/<key>.json; with "error", one sentence, where the trial failed


@dataclass(frozen=True)
class Trial:
    name: str  # of what is compared: an arm, a share of the Pins
    seed: int
    config: Config
    trained: bool = True  # else the frozen model of the configuration is judged as it is

    def key(self, data: StudyData) -> str:
        return digest_of(data.digest, self.config.to_json(), self.seed, *([] if self.trained else ["as it is"]))


@dataclass(frozen=True)
class StudyProgress:
    """What a study has to say while it runs."""

    finished: Record | None  # a trial that has just ended, or was found finished
    done: int  # trials that have ended
    total: int
    fraction: float  # of the whole study
    rest: float | None  # estimated seconds; None before anything is known


@dataclass(frozen=True)
class TrialTask:
    """The input of a worker, pickled by value."""

    trial: Trial
    prepared: Path
    neighbours: Path
    extracted: Path
    work: Path
    record: Path
    facts: dict[str, str]


def run_trials(
    trials: Sequence[Trial],
    data: StudyData,
    out: Path,
    git_rev: str,
    parallel: int | None,
    show: Callable[[StudyProgress], None],
) -> list[Record]:
    """The records of all trials, in their order; those of failed trials carry `error` and are not kept."""
    tasks = [_task_of(trial, data, out, git_rev) for trial in trials]
    # The same settings may have had another name when they were tried: a default that has changed since.
    records = {task.record: _read(task.record) | {"name": task.trial.name} for task in tasks if task.record.is_file()}
    waiting = [task for task in tasks if task.record not in records]
    clock = Clock(len(tasks), len(records))
    for record in list(records.values()):
        show(clock.progress(record, []))
    if waiting:
        for task, record in _side_by_side(waiting, parallel, clock, show):
            records[task.record] = record
    return [records[task.record] for task in tasks]


def _task_of(trial: Trial, data: StudyData, out: Path, git_rev: str) -> TrialTask:
    """Prepares the data that the trial learns from, where nobody has yet; `out` is the study's folder."""
    key, out = trial.key(data), out.absolute()
    return TrialTask(
        trial,
        data.prepared(trial.config),
        data.neighbours(trial.config),
        data.extracted(trial.config, Settings().home / EXTRACTED),
        out / "work" / key,
        out / "trials" / f"{key}.json",
        {"catalogue_digest": data.digest, "git_rev": git_rev},
    )


def _side_by_side(
    tasks: list[TrialTask], parallel: int | None, clock: "Clock", show: Callable[[StudyProgress], None]
) -> Iterator[tuple[TrialTask, Record]]:
    """Every task with its record, as they end; `parallel` of them at a time."""
    import ray

    with ray_cluster(parallel) as places:
        gpus = min(ray.cluster_resources().get("GPU", 0) / places, 1)
        run = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=1)(work_on)
        queue, running = list(tasks), dict[Any, TrialTask]()
        while queue or running:
            while queue and len(running) < places:
                task = queue.pop(0)
                running[run.remote(task)] = task
            ended, _ = ray.wait(list(running), timeout=POLL)
            for reference in ended:
                task = running.pop(reference)
                record = _result(reference, task)
                show(clock.progress(record, list(running.values())))
                yield task, record
            show(clock.progress(None, list(running.values())))


def work_on(task: TrialTask) -> Record:
    """Runs one trial in its own process; returns the record of one that has ended before.

    An error becomes the record of this trial alone; the other trials go on.
    """
    import torch

    from model.evaluation.trial import judge_as_it_is, run_trial

    if task.record.is_file():
        return _read(task.record)
    torch.set_num_threads(1)
    task.work.mkdir(parents=True, exist_ok=True)
    trial, said = task.trial, 0.0

    def report(point: dict[str, Any]) -> None:
        nonlocal said
        if time.monotonic() - said > POLL:
            said = time.monotonic()
            write_text(task.work / "fraction", str(point["fraction"]))

    try:
        folders = task.prepared, task.neighbours
        if trial.trained:
            result = run_trial(*folders, task.work, trial.config, trial.seed, report, task.extracted)
        else:
            result = judge_as_it_is(*folders, trial.config, task.extracted)
    except PinclipError as error:
        return _named(task) | {"error": str(error)}
    except Exception as error:
        write_text(task.work / "error.log", traceback.format_exc())
        return _named(task) | {"error": f"{type(error).__name__}: {error} ({task.work / 'error.log'})"}
    record = _named(task) | result
    write_json(task.record, record)
    remove(task.work)
    return record


def _named(task: TrialTask) -> Record:
    config = json.loads(task.trial.config.to_json())
    return {"name": task.trial.name, "seed": task.trial.seed, "key": task.record.stem, **task.facts, "config": config}


def _result(reference: Any, task: TrialTask) -> Record:
    import ray

    try:
        record: Record = ray.get(reference)
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return _named(task) | {"error": f"its process died twice: {lines[0]}"}
    return record


def _read(path: Path) -> Record:
    record: Record = json.loads(path.read_text(encoding="utf-8"))
    return record


class Clock:
    """How far a study is and how long the rest takes, by the pace of what was trained in this command."""

    def __init__(self, total: int, found: int) -> None:
        self.started, self.total, self.found, self.done = time.monotonic(), total, found, 0

    def progress(self, finished: Record | None, running: Sequence[TrialTask]) -> StudyProgress:
        self.done += finished is not None
        ahead = self.done + sum(_fraction(task.work) for task in running)
        trained = ahead - self.found
        seconds = time.monotonic() - self.started
        rest = seconds * (self.total - ahead) / trained if trained > 0 and self.done >= self.found else None
        return StudyProgress(finished, self.done, self.total, ahead / self.total, rest)


def _fraction(work: Path) -> float:
    try:
        return float((work / "fraction").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0
