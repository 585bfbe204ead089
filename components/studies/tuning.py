"""A search for better settings: Ray Tune draws them from a space, MLflow keeps every trial as a child run.

Judged on validation Pins: held out from the training groups as fresh Pins are from all. The fresh Pins themselves are
left out of everything, so that what is chosen here can still be measured on them.
"""

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.mlflow_client import mlflow_errors
from components.ray_cluster import ray_cluster
from components.settings import Settings
from components.studies.data import StudyData, digest_of
from components.studies.space import Space, apply, current, written
from components.studies.tables import MAIN
from components.studies.trials import Clock, Progress, Record, Task, Trial, task_of, work_on
from components.tracking import carries, tracked
from model.config import Config
from model.files import remove
from model.overrides import override

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Scored:
    """A finished trial of the search."""

    record: Record
    config: Config
    score: float
    as_it_was: bool  # the configuration that the search started from


@dataclass(frozen=True)
class Search:
    """What a search is told."""

    config: Config
    space: Space
    data: StudyData
    out: Path
    git_rev: str
    trials: int

    def judged(self) -> Config:
        """The configuration that the search starts from, its judges the validation Pins."""
        changed: Config = override(self.config, {"split": {"judge": "validation"}})
        return changed

    def start(self) -> dict[str, Any]:
        """The searched settings as they are."""
        return {key: current(self.config, key) for key in self.space}

    def task(self, values: dict[str, Any]) -> Task:
        config = apply(self.judged(), values)
        return task_of(Trial("tune", self.config.seed, config), self.data, self.out, self.git_rev)


def tune(search: Search, parallel: int | None, show: Callable[[Progress], None]) -> tuple[list[Scored], list[Record]]:
    """(finished trials, best first; failed trials). The first trial is the configuration as it is.

    Random search with a seed: a repeated command draws the same and takes finished trials as they are.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # its own CSV and TensorBoard files: MLflow keeps the trials
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    start = search.task(search.start()).record.stem  # and the data is there before anybody wants it
    settings, records = Settings(), list[Record]()
    with ray_cluster(parallel) as places, tracked(_identity(search), settings) as (client, parent):

        def ended(values: dict[str, Any], record: Record) -> None:
            records.append(record)
            with mlflow_errors():
                _log(client, parent, values, record)

        _run(search, places, ended, show)
    finished = [record for record in records if "error" not in record]
    scored = [
        Scored(r, Config.from_json(json.dumps(r["config"])), score(r["fresh"]), r["key"] == start) for r in finished
    ]
    return sorted(scored, key=lambda one: -one.score), [record for record in records if "error" in record]


def score(recalls: dict[str, float]) -> float:
    """The geometric mean of recall@10 over the tasks: 10 % more of any task counts the same."""
    found = [recalls[task] for task in MAIN if task in recalls]
    return math.prod(found) ** (1 / len(found)) if found else 0.0


def best_settings(best: Scored, space: Space) -> list[str]:
    """The searched settings of the trial as `--set` takes them."""
    return [f"--set {key}={written(current(best.config, key))}" for key in space]


def _run(
    search: Search, places: int, ended: Callable[[dict[str, Any], Record], None], show: Callable[[Progress], None]
) -> None:
    from ray import tune as ray_tune
    from ray.tune.search.basic_variant import BasicVariantGenerator

    def trial(values: dict[str, Any]) -> dict[str, Any]:
        record = work_on(search.task(values))
        return {"score": score(record.get("fresh", {})), "record": json.dumps(record)}

    draws = BasicVariantGenerator(
        points_to_evaluate=[search.start()], max_concurrent=places, random_state=search.config.seed
    )
    tuner = ray_tune.Tuner(
        ray_tune.with_resources(trial, {"cpu": 1}),
        param_space={key: drawn.domain() for key, drawn in search.space.items()},
        tune_config=ray_tune.TuneConfig(metric="score", mode="max", num_samples=search.trials, search_alg=draws),
        run_config=ray_tune.RunConfig(
            name="ray",
            storage_path=str(search.out.absolute() / "work"),
            verbose=0,
            callbacks=[_teller(search, ended, show)],
        ),
    )
    tuner.fit()
    remove(search.out / "work" / "ray")


def _teller(search: Search, ended: Callable[[dict[str, Any], Record], None], show: Callable[[Progress], None]) -> Any:
    """A callback of Ray Tune that hands over every trial that ends and says how far the search is."""
    from ray.tune import Callback

    clock, at_work = Clock(search.trials, 0), dict[str, Task]()

    class Teller(Callback):
        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            at_work[trial.trial_id] = search.task(trial.config)

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            at_work.pop(trial.trial_id, None)
            record = json.loads(trial.last_result["record"])
            show(clock.progress(record, list(at_work.values())))
            ended(trial.config, record)

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            at_work.pop(trial.trial_id, None)
            record = {"name": "tune", "seed": search.config.seed, "error": "its process died", "key": trial.trial_id}
            show(clock.progress(record, list(at_work.values())))
            ended(trial.config, record)

        def __reduce__(self) -> tuple[Any, ...]:
            return Callback, ()  # Tune saves its state to go on from; we go on from our own records

        def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
            show(clock.progress(None, list(at_work.values())))

    return Teller()


def _identity(search: Search) -> dict[str, str]:
    """Names the parent run: the same search again joins it."""
    named = digest_of(search.data.digest, search.config.to_json(), {k: repr(v) for k, v in search.space.items()})
    return {"pinclip.run_id": f"tune-{named}"}


def _log(client: "MlflowClient", parent: str, values: dict[str, Any], record: Record) -> None:
    """The trial as a child run; one that is there already stays as it is."""
    tags = {"mlflow.parentRunId": parent, "pinclip.trial": record["key"]}
    experiment = client.get_run(parent).info.experiment_id
    done = f"{carries(tags)} AND attributes.status = 'FINISHED'"
    if client.search_runs([experiment], done, max_results=1):
        return
    run = client.create_run(experiment, tags=tags, run_name=record["key"]).info.run_id
    for key, value in values.items():
        client.log_param(run, key, written(value))
    if "error" in record:
        client.set_tag(run, "pinclip.error", record["error"])
    else:
        for task, value in record["fresh"].items():
            client.log_metric(run, f"validation/{task}_recall_at_10", value)
        client.log_metric(run, "score", score(record["fresh"]))
        client.log_metric(run, "train_seconds", record["train_seconds"])
    client.set_terminated(run, "FAILED" if "error" in record else "FINISHED")
