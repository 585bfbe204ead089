"""Turns a collected look into drift.json and tracks it in MLflow.

drift.json    the look (space, time, counts), `over`: keys of the measures beyond their limit, all measures, and
              `mlflow_run`, the run that holds the page
"""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from safetensors.numpy import load_file

from components.mlflow_client import mlflow_errors
from components.registry.tracking import tracked
from components.retries import with_retries
from components.settings import Settings
from model.drift.config import DriftLimits
from model.drift.measures import DriftMeasure, Samples, drift_measures

SCOPES = ("all", "new")


def measure(collected: Path, limits: DriftLimits) -> dict[str, Any]:
    """Measures the drift of a look; the measure that is furthest beyond its limit, or nearest to it, comes first."""
    look = json.loads((collected / "sample.json").read_text(encoding="utf-8"))
    measures = sorted(drift_measures(_samples(collected, look), limits), key=_order)
    over = [one.key for one in measures if one.over]
    return look | {"over": over, "measures": [asdict(one) | {"over": one.over, "key": one.key} for one in measures]}


@with_retries
def track(drift: dict[str, Any], page: Path, settings: Settings) -> str:
    """Writes values and sure parts into the experiment <experiment>-monitoring; returns the MLflow run's id.

    The same look, tracked again, joins its run.

    Raises:
        StoreError: MLflow refuses or does not answer.
    """
    beside = settings.model_copy(update={"experiment": f"{settings.experiment}-monitoring"})
    identity = {"pinclip.run_id": f"{drift['space']} at {drift['time']}"}
    tags = {"pinclip.space": drift["space"], "pinclip.over": ", ".join(drift["over"]) or "nothing"}
    with tracked(identity, beside) as (client, run), mlflow_errors():
        from mlflow.entities import Metric

        time = int(datetime.fromisoformat(drift["time"]).timestamp() * 1000)
        values = {one["key"]: one["value"] for one in drift["measures"]}
        values |= {f"sure/{one['key']}": one["sure"] for one in drift["measures"]} | {"over": len(drift["over"])}
        client.log_batch(run, metrics=[Metric(name, float(value), time, 0) for name, value in values.items()])
        for name, value in tags.items():
            client.set_tag(run, name, value)
        client.log_text(run, page.read_text(encoding="utf-8"), "index.html")
        client.log_dict(run, drift, "drift.json")
    return run


def _order(measure: DriftMeasure) -> tuple[float, float, str]:
    """By the sure part as a share of the limit, then by the value; last what is not judged."""
    if measure.limit is None:
        return 1.0, 0.0, measure.key
    limit = max(measure.limit, 1e-9)
    return -measure.sure / limit, -measure.value / limit, measure.key


def _samples(collected: Path, look: dict[str, Any]) -> Samples:
    facts, vectors = pq.read_table(collected / "facts.parquet"), load_file(collected / "vectors.safetensors")
    age = datetime.fromisoformat(look["time"]) - datetime.fromisoformat(look["newest_vector"])
    return Samples(
        reference=pq.read_table(collected / "reference.parquet"),
        facts={scope: facts.filter(pc.equal(facts["scope"], scope)) for scope in SCOPES},
        before_BE=vectors["before"],
        now_NE={scope: vectors[scope] for scope in SCOPES},
        canaries_before_KE=vectors["canaries_before"],
        canaries_now_KE=vectors["canaries"],
        asked=look["asked"],
        without_vector=look["without_vector"],
        pairs=look["pairs"],
        differing=look["differing"],
        newest_vector_hours=max(0.0, age.total_seconds() / 3600),
    )
