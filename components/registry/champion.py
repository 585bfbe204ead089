"""Loads the champion from MLflow for model/evaluation/comparison.py.

A champion that cannot be read does not fail the run: the comparison says why in `unread`, and the gate refuses the
version.
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
from model.errors import PinclipError
from model.evaluation.comparison import Champion, compare, without_champion
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
    version = version_of(CHAMPION, settings)
    if version is None:
        return without_champion(prepared, neighbours, model, config)
    work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".champion-", dir=work) as scratch:
        try:
            champion = _champion(version, settings, Path(scratch))
            return compare(prepared, neighbours, model, vectors, champion, Path(scratch), config, report, each)
        except PinclipError as error:
            said = str(error).split("; ")[0].rstrip(".").replace(f"{scratch}/", "")
            fix = "restore its files in MLflow, or take the alias off it, and run again."
            compared = without_champion(prepared, neighbours, model, config)
            return compared | {"champion": {"version": version}, "unread": f"{said}; {fix}"}


def _champion(version: int, settings: Settings, scratch: Path) -> Champion:
    client = connect(settings)
    with mlflow_errors():
        known = client.get_model_version(settings.model_name, str(version))
    folder = model_folder(f"models:/{settings.model_name}/{version}", settings, scratch / "champion")
    made = datetime.fromtimestamp(known.creation_timestamp / 1000, tz=UTC)
    return Champion(version, folder, made, known.tags.get("pinclip.catalogue_digest", ""))
