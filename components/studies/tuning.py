"""A random search for better settings: draws from a space are trials as of any study, each a child run in MLflow.

Judged on validation Pins: held out from the training groups as fresh Pins are from all. The fresh Pins themselves are
left out of everything, so that what is chosen here can still be measured on them.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.mlflow_client import mlflow_errors
from components.registry.tracking import carries, tracked
from components.settings import Settings
from components.studies.data import StudyData, digest_of
from components.studies.search_space import SearchSpace, as_text, setting_value, with_settings
from components.studies.tables import MAIN
from components.studies.trials import Record, StudyProgress, Trial, run_trials
from model.config import Config
from model.config.overrides import override

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
    """The input of a search."""

    config: Config
    space: SearchSpace
    data: StudyData
    out: Path
    git_rev: str
    trials: int

    def start(self) -> dict[str, Any]:
        """The searched settings as they are."""
        return {key: setting_value(self.config, key) for key in self.space}

    def draws(self) -> list[dict[str, Any]]:
        """The settings to try: first those as they are, then draws by seed. A longer search begins with the same."""
        rng = np.random.default_rng(self.config.seed)
        drawn = [{key: domain.draw(rng) for key, domain in self.space.items()} for _ in range(self.trials - 1)]
        return [self.start(), *drawn]

    def trial(self, values: dict[str, Any]) -> Trial:
        """A training with these settings, judged on the validation Pins."""
        judged: Config = override(self.config, {"split": {"judge": "validation"}})
        return Trial("tune", self.config.seed, with_settings(judged, values))


def tune(
    search: Search, parallel: int | None, show: Callable[[StudyProgress], None]
) -> tuple[list[Scored], list[Record]]:
    """(finished trials, best first; failed trials). The first trial is the configuration as it is.

    A repeated command draws the same and takes finished trials as they are; settings that are drawn twice are tried
    once.
    """
    tried = {search.trial(values).key(search.data): values for values in search.draws()}
    trials, settings = [search.trial(values) for values in tried.values()], Settings()
    with tracked(_identity(search), settings) as (client, parent):

        def ended(progress: StudyProgress) -> None:
            if record := progress.finished:
                with mlflow_errors():
                    _log(client, parent, tried[record["key"]], record)
            show(progress)

        records = run_trials(trials, search.data, search.out, search.git_rev, parallel, ended)
    start = trials[0].key(search.data)
    scored = [
        Scored(r, Config.from_json(json.dumps(r["config"])), score(r["fresh"]), r["key"] == start)
        for r in records
        if "error" not in r
    ]
    return sorted(scored, key=lambda one: -one.score), [record for record in records if "error" in record]


def score(recalls: dict[str, float]) -> float:
    """The geometric mean of recall@10 over the tasks: 10 % more of any task counts the same."""
    found = [recalls[task] for task in MAIN if task in recalls]
    return math.prod(found) ** (1 / len(found)) if found else 0.0


def best_settings(best: Scored, space: SearchSpace) -> list[str]:
    """The searched settings of the trial as `--set` takes them."""
    return [f"--set {key}={as_text(setting_value(best.config, key))}" for key in space]


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
        client.log_param(run, key, as_text(value))
    if "error" in record:
        client.set_tag(run, "pinclip.error", record["error"])
    else:
        for task, value in record["fresh"].items():
            client.log_metric(run, f"validation/{task}_recall_at_10", value)
        client.log_metric(run, "score", score(record["fresh"]))
        client.log_metric(run, "train_seconds", record["train_seconds"])
    client.set_terminated(run, "FAILED" if "error" in record else "FINISHED")
