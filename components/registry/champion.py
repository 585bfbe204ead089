"""Loads the champion from MLflow for model/evaluation/comparison.py, and the version that the model stays comparable
with for model/evaluation/compatibility.py.

One that cannot be read does not fail the run: the comparison says why in `unread`, and the gate refuses the version.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from components.mlflow_client import connect, mlflow_errors
from components.registry.artifacts import model_folder
from components.registry.versions import CHAMPION, version_of
from components.retries import with_retries
from components.settings import Settings
from model.config import Config
from model.config.folder import read_config
from model.errors import PinclipError
from model.evaluation.comparison import VECTORS, Champion, compare, embed_fresh, without_champion
from model.evaluation.compatibility import compatibility
from model.evaluation.evaluate import pinclip_vectors
from model.evaluation.tasks import evaluation_scope
from model.parallel import Each, in_turn


@with_retries
def compare_with_champion(
    *,
    prepared: Path,
    neighbours: Path,
    model: Path,
    vectors: Path,
    work: Path,
    config: Config,
    settings: Settings,
    report: Callable[[float, str], None] = lambda fraction, message: None,
    each: Each = in_turn,
) -> dict[str, Any]:
    """The comparison (model/evaluation/comparison.py) with the version that holds the alias `champion`.

    work: a folder for what is removed at the end; where `each` works on other machines they see it too.

    Raises:
        StoreError: MLflow does not answer.
        ModelError: the folder `model` cannot be read.
    """
    version, former = version_of(CHAMPION, settings), read_config(model).train.compatible_with
    data = prepared, neighbours
    work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".champion-", dir=work) as folder:
        scratch = Path(folder) / str(version)
        try:
            if version is None:
                compared = without_champion(*data, model, config)
            else:
                champion = _champion(version, settings, scratch)
                compared = compare(*data, model, vectors, champion, scratch, config, report, each)
        except PinclipError as error:
            unread = _unread(error, scratch, "take the alias off it")
            compared = without_champion(*data, model, config)
            compared |= {"champion": {"version": version}, "unread": unread}
        if former:
            scratch = Path(folder) / former
            compared["compatible"] = _compatible(*data, vectors, int(former), scratch, config, settings, each)
        return compared


def _compatible(
    prepared: Path,
    neighbours: Path,
    vectors: Path,
    version: int,
    scratch: Path,
    config: Config,
    settings: Settings,
    each: Each,
) -> dict[str, Any]:
    """How well `vectors` and those of the former version answer each other; the champion's lie in `scratch` already."""
    try:
        if not (scratch / VECTORS).is_dir():
            embed_fresh(prepared, neighbours, _champion(version, settings, scratch).folder, scratch, config, each=each)
    except PinclipError as error:
        unread = _unread(error, scratch, "take train.compatible_with out")
        return {"version": version, "unread": unread, "tasks": {}}
    fresh = evaluation_scope(prepared, neighbours, only_fresh=True)
    tasks = compatibility(fresh, pinclip_vectors(vectors), pinclip_vectors(scratch / VECTORS), config)
    return {"version": version, "unread": None, "tasks": tasks}


def _unread(error: PinclipError, scratch: Path, otherwise: str) -> str:
    said = str(error).split("; ")[0].rstrip(".").replace(f"{scratch}/", "")
    return f"{said}; restore its files in MLflow, or {otherwise}, and run again."


def _champion(version: int, settings: Settings, scratch: Path) -> Champion:
    client = connect(settings)
    with mlflow_errors():
        known = client.get_model_version(settings.model_name, str(version))
    folder = model_folder(f"models:/{settings.model_name}/{version}", settings, scratch / "champion")
    made = datetime.fromtimestamp(known.creation_timestamp / 1000, tz=UTC)
    return Champion(version, folder, made, known.tags.get("pinclip.catalogue_digest", ""))
