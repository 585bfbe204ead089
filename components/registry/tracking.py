"""MLflow tracking: one MLflow run for one pipeline run, opened or joined, and all that was measured written to it.

    with tracked({"pinclip.run_id": "20261121-0945"}, settings) as (client, mlflow_run):
        log_figures(client, mlflow_run, config=config, metrics=metrics, curves=model_folder / "curves.jsonl")

Every write may be repeated: the rerun of a killed run joins its MLflow run and logs nothing twice.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.mlflow_client import connect, mlflow_errors
from components.retries import with_retries
from components.settings import Settings
from model.config import Config

if TYPE_CHECKING:
    from mlflow import MlflowClient

BATCH = 1000  # metrics of one request, the server's limit
PARAMS = 100  # parameters of one request, the server's limit
DIGEST = 32  # characters of the catalogue's digest that MLflow has room for; the tag holds all 64


@contextmanager
def tracked(identity: Mapping[str, str], settings: Settings) -> Iterator[tuple["MlflowClient", str]]:
    """Opens the MLflow run named by MLFLOW_RUN_ID, else the one that carries the tags `identity`, else a new one.

    Yields the client and the MLflow run's id; the run ends with the block, FAILED where the block raised.

    Raises:
        StoreError: MLflow refuses or does not answer.
    """
    client = connect(settings)
    import mlflow

    with mlflow_errors():
        run = os.environ.get("MLFLOW_RUN_ID") or _found_or_created(client, identity, settings)
        for name, value in identity.items():
            client.set_tag(run, name, value)
        with mlflow.start_run(run_id=run):
            yield client, run


def carries(tags: Mapping[str, str]) -> str:
    """MLflow's filter for runs or versions that have all these tags."""
    return " AND ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())


def log_figures(client: "MlflowClient", run: str, *, config: Config, metrics: Mapping[str, Any], curves: Path) -> None:
    """Parameters as in `--set`, the numbers of metrics.json, and every line of curves.jsonl as a step."""
    from mlflow.entities import Metric, Param

    # One timestamp for all: MLflow keeps a metric once for (name, step, timestamp, value), so a repetition is nothing.
    now = client.get_run(run).info.start_time
    params = [Param(key, str(value)) for key, value in _flat(config.to_dict(), ".")]
    points = [Metric(name, value, now, 0) for name, value in _numbers(metrics)]
    for line in curves.read_text(encoding="utf-8").splitlines():
        point = json.loads(line)
        step = int(point.pop("step"))
        points += [Metric(f"train/{name}", value, now, step) for name, value in _numbers(point)]
    for some in _batches(params, PARAMS):
        client.log_batch(run, params=some)
    for some in _batches(points, BATCH):
        client.log_batch(run, metrics=some)


def log_evidence(
    client: "MlflowClient", run: str, *, config: Config, evaluation: Path, validation: Path, lineage: Mapping[str, str]
) -> None:
    """The catalogue as the run's dataset, where all came from as tags, and the files a reviewer asks for."""
    import mlflow
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.data.sources import LocalArtifactDatasetSource

    source = LocalArtifactDatasetSource(lineage["catalogue"])
    digest = lineage["catalogue_digest"][:DIGEST]
    mlflow.log_input(MetaDataset(source, name="catalogue", digest=digest), context="training")
    for name, value in lineage.items():
        client.set_tag(run, f"pinclip.{name}", value)
    client.log_artifacts(run, str(evaluation), "evaluation")
    client.log_text(run, validation.read_text(encoding="utf-8"), "validation.json")
    client.log_text(run, config.to_json(), "config.json")
    client.log_dict(run, dict(lineage), "lineage.json")


@with_retries
def log_report(run: str, folder: Path, settings: Settings) -> None:
    """Puts report.html, plots/ and curves/ beside what log_evidence has logged.

    Raises:
        StoreError: MLflow refuses or does not answer.
    """
    client = connect(settings)
    with mlflow_errors():
        client.log_artifacts(run, str(folder))


def _found_or_created(client: "MlflowClient", identity: Mapping[str, str], settings: Settings) -> str:
    known = client.get_experiment_by_name(settings.experiment)
    experiment = known.experiment_id if known else _create_experiment(client, settings)
    runs = client.search_runs([experiment], carries(identity), max_results=1, order_by=["attributes.start_time ASC"])
    name = identity["pinclip.run_id"]
    run = runs[0] if runs else client.create_run(experiment, tags=dict(identity), run_name=name)
    return str(run.info.run_id)


def _create_experiment(client: "MlflowClient", settings: Settings) -> str:
    local = settings.mlflow_uri.startswith("sqlite:")  # a server says itself where its artifacts are
    artifacts = (settings.home / "mlartifacts").as_uri() if local else None
    return str(client.create_experiment(settings.experiment, artifact_location=artifacts))


def _numbers(tree: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of nested figures under names that MLflow allows: search/recall_at_10."""
    for name, value in _flat(tree, "/"):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name.replace("@", "_at_"), float(value)


def _flat(tree: Mapping[str, Any], separator: str) -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}{separator}{name}", leaf) for name, leaf in _flat(value, separator))
        else:
            yield key, value


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))
