"""The model registry: a trained model becomes a version of `models:/pinclip`, judged by the gate.

Registering moves no alias. The alias `challenger` is moved by announce(), which publishing calls when its features
are readable: whoever loads `models:/pinclip@challenger` finds vectors of that version in the feature store.
"""

import dataclasses
import hashlib
import json
import logging
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from components.configuration import Configuration
from components.gate import Verdict, compatible_space, gate_verdict
from components.mlflow_client import connect, mlflow_errors
from components.model_card.card import described
from components.registry.one_file import one_file
from components.registry.tracking import carries, log_evidence, log_figures, tracked
from components.retries import with_retries
from components.settings import Settings
from model.config.folder import complete_config
from model.data.catalogue import TEXT_TYPES
from model.errors import ExportError, ModelError
from model.files import sha256_of, write_json

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

CHALLENGER, CHAMPION = "challenger", "champion"  # moved by publishing; moved by a person
# All that the registered model needs to load and predict (components/registry/pin_model.py).
PACKAGES = ("mlflow-skinny", "numpy", "onnxruntime", "pandas", "pillow", "tokenizers")


@dataclass(frozen=True)
class Registration:
    """A version of the registered model; `created` is an ISO 8601 time, the same however often it is registered."""

    version: int
    verdict: Verdict
    mlflow_run_id: str
    uri: str  # models:/pinclip/7
    created: str
    compatible_with: str = ""  # the space, v6, whose vectors may be compared with this version's

    @property
    def space(self) -> str:
        """The embedding space that this version's vectors live in."""
        return f"v{self.version}"

    def write(self, path: Path) -> None:
        write_json(path, dataclasses.asdict(self))

    @staticmethod
    def read(path: Path) -> "Registration":
        fields = json.loads(path.read_text(encoding="utf-8"))
        verdict = Verdict(**{**fields["verdict"], "reasons": tuple(fields["verdict"]["reasons"])})
        return Registration(**{**fields, "verdict": verdict})


@with_retries
def register(
    *,
    run_id: str,
    model_folder: Path,
    evaluation: Path,
    comparison: Path,
    validation: Path,
    card: str,
    config: Configuration,
    lineage: Mapping[str, str],
    settings: Settings,
) -> Registration:
    """Tracks the run in MLflow, logs its model and registers it with the gate's verdict as tags of run and version.

    `evaluation` is the folder with metrics.json, `comparison` and `validation` are files that the steps compare and
    validate wrote, `card` is the model card in Markdown, which becomes the version's description, `lineage` the strings
    of pipelines.lineage. The same run, weights and configuration give the same version again, never a second one.

    Raises:
        ModelError: the model folder has no weights.
        StoreError: MLflow refuses or does not answer.
    """
    metrics, compared = (
        json.loads(path.read_text(encoding="utf-8")) for path in (evaluation / "metrics.json", comparison)
    )
    verdict = gate_verdict(metrics, compared, config.gate)
    # A catalogue that only the cluster sees has no digest yet where the run is asked for.
    lineage = {**lineage, "catalogue_digest": lineage["catalogue_digest"] or metrics["catalogue"]["digest"]}
    identity = {
        "pinclip.run_id": run_id,
        "pinclip.weights_sha256": _weights_sha256(model_folder),
        "pinclip.config_sha256": hashlib.sha256(config.to_json().encode()).hexdigest(),
    }
    judged = {
        "pinclip.gate": "passed" if verdict.passed else "failed",
        "pinclip.gate.reasons": "\n".join(verdict.reasons),
        "pinclip.champion": str(compared["champion"]["version"]) if compared["champion"] else "none",
    }
    compatible = compatible_space(compared, config.gate)
    judged |= {"pinclip.compatible_with": compatible} if compatible else {}
    tags = identity | judged | {f"pinclip.{name}": value for name, value in lineage.items() if value}
    with tracked(identity, settings) as (client, run):
        figures = metrics | {"comparison": compared}
        log_figures(client, run, config=config, metrics=figures, curves=model_folder / "curves.jsonl")
        log_evidence(client, run, config=config, evaluation=evaluation, validation=validation, lineage=lineage)
        client.log_text(run, comparison.read_text(encoding="utf-8"), "comparison.json")
        client.log_text(run, card, "model_card.md")
        for name, value in judged.items():
            client.set_tag(run, name, value)
        version = _registered(client, identity, settings.model_name) or _create_version(
            client, run, model_folder, config, tags, settings.model_name
        )
        client.update_model_version(settings.model_name, str(version.version), described(card))
        tags["pinclip.space"] = f"v{version.version}"
        for name, value in tags.items():
            client.set_model_version_tag(settings.model_name, str(version.version), name, value)
    created = datetime.fromtimestamp(version.creation_timestamp / 1000, tz=UTC).isoformat()
    uri = f"models:/{settings.model_name}/{version.version}"
    return Registration(int(version.version), verdict, run, uri, created, compatible)


def version_of(alias: str, settings: Settings) -> int | None:
    """The version that holds the alias; None where none does, or nothing has been registered yet.

    Raises:
        StoreError: MLflow does not answer.
    """
    client = connect(settings)
    with mlflow_errors():
        models = client.search_registered_models(f"name = '{settings.model_name}'")
    found = next((model.aliases.get(alias) for model in models), None)
    return int(found) if found is not None else None


def passed_gate(version: int, settings: Settings) -> bool:
    """The verdict that the version carries.

    Raises:
        StoreError: there is no such version, or MLflow does not answer.
    """
    client = connect(settings)
    with mlflow_errors():
        return bool(client.get_model_version(settings.model_name, str(version)).tags.get("pinclip.gate") == "passed")


def announce(version: int, settings: Settings) -> bool:
    """Moves the alias `challenger` to the version if its gate passed and no newer one has it; says whether it did.

    A run that was killed may be finished after a newer one.

    Raises:
        StoreError: there is no such version, or MLflow does not answer.
    """
    if not passed_gate(version, settings):
        return False
    if (newest := version_of(CHALLENGER, settings)) is not None and newest > version:
        return False
    client = connect(settings)
    with mlflow_errors():
        client.set_registered_model_alias(settings.model_name, CHALLENGER, str(version))
    return True


def _registered(client: "MlflowClient", identity: Mapping[str, str], name: str) -> Any | None:
    versions = client.search_model_versions(f"name = '{name}' AND {carries(identity)}")
    return min(versions, key=lambda version: int(version.version), default=None)


def _create_version(
    client: "MlflowClient", run: str, model_folder: Path, config: Configuration, tags: Mapping[str, str], name: str
) -> Any:
    """The version with all its tags in one write: nobody sees one without a verdict."""
    model_id = _logged(client, run, tags) or log_model(model_folder, config, tags)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description="Multimodal Pin vectors (PinCLIP)")
    return client.create_model_version(name, f"models:/{model_id}", run, tags=dict(tags), model_id=model_id)


def _logged(client: "MlflowClient", run: str, tags: Mapping[str, str]) -> str | None:
    """The model that a killed attempt has already logged in whole."""
    wanted = {"pinclip.weights_sha256": tags["pinclip.weights_sha256"]}
    experiment = client.get_run(run).info.experiment_id
    models = client.search_logged_models([experiment], f"source_run_id = '{run}' AND {carries(wanted)}")
    return next((model.model_id for model in models if model.status.value == "READY"), None)


def log_model(model_folder: Path, config: Configuration, tags: Mapping[str, str]) -> str:
    """Logs the folder with all of the model's settings, for those that judged it are known here alone, and with its
    ONNX graphs, which the service reads too."""
    import mlflow

    from serving.encoder.export import REGISTERED, exported  # torch

    with warnings.catch_warnings(), TemporaryDirectory(prefix="pinclip-model-") as scratch:
        whole, code = Path(scratch) / "model", Path(scratch) / "pin_model.py"
        shutil.copytree(model_folder, whole)
        complete_config(whole, config)
        try:
            exported(whole, whole / REGISTERED)
        except ExportError as error:
            logging.getLogger(__name__).warning("%s It is registered without `predict`.", error)
        code.write_text(one_file("components.registry.pin_model"), encoding="utf-8")
        warnings.filterwarnings("ignore", message=".*input example was not provided.*")
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(code),
            artifacts={"model": str(whole)},
            pip_requirements=[f"{name}=={installed(name)}" for name in PACKAGES],
            signature=_signature(),
            tags={"pinclip.weights_sha256": tags["pinclip.weights_sha256"]},
        )
    return str(logged.model_id)


def _signature() -> "ModelSignature":
    """Every column may be missing: a Pin has an image, texts or both, a search query neither.

    Every column is of any type for MLflow, which would refuse lists, a column without any value, or one of Arrow's
    types; components/registry/pin_model.py looks at every value itself.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType, Array

    inputs = Schema([ColSpec(AnyType(), name, required=False) for name in ("image", *TEXT_TYPES)])
    return ModelSignature(inputs=inputs, outputs=Schema([ColSpec(Array(DataType.float), "vector")]))


def _weights_sha256(model_folder: Path) -> str:
    weights = model_folder / "model.safetensors"
    if not weights.is_file():
        raise ModelError(f"The model folder {model_folder} has no model.safetensors; train the model before this step.")
    return sha256_of(weights)
