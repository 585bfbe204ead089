"""The published spaces of a home, as publishing left them on disk, and the model that each one's vectors came from."""

import json
from pathlib import Path
from typing import Any

from components.feature_store import feature_definitions
from components.settings import Settings
from components.tracking import connect, mlflow_errors
from model.errors import StoreError


def published(settings: Settings) -> tuple[dict[str, dict[str, Any]], str]:
    """(the manifest of each space that can be read, oldest first; the one that `pin_ranking` stands on).

    Raises:
        StoreError: nothing is published.
    """
    definitions, home = feature_definitions(), settings.home / "feast"
    files = definitions.manifest_file(home, "x").parent.glob("pin_embedding_*.json")
    manifests = sorted(
        (json.loads(file.read_text(encoding="utf-8")) for file in files), key=lambda m: m["model_version"]
    )
    if not manifests:
        raise StoreError(f"No space is published in {home}; run the pipeline first, or set PINCLIP_HOME.")
    newest = json.loads(definitions.ranking_file(home).read_text(encoding="utf-8"))["space"]
    return {manifest["space"]: manifest for manifest in manifests}, newest


def model_folder(uri: str, settings: Settings) -> Path:
    """The model folder within a registered version; a copy of it where MLflow's files are on another machine.

    Raises:
        StoreError: there is no such version, or MLflow does not answer.
    """
    connect(settings)
    import mlflow

    with mlflow_errors():
        version = Path(mlflow.artifacts.download_artifacts(uri))
        flavour = mlflow.models.Model.load(str(version)).flavors["python_function"]
    return version / flavour["artifacts"]["model"]["path"]
