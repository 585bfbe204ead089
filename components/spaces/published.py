"""The published spaces of a home, as publishing left them on disk, and the model that each one's vectors came from."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from components.mlflow_client import connect
from components.settings import Settings
from components.spaces.feature_store import feast_errors
from model.errors import StoreError
from serving.space import SpaceManifest, manifest_file, written

if TYPE_CHECKING:
    from feature_repo.ranking_services import SpaceObjects

# Seconds of one try, and further tries.
IMPATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "8", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


def published(settings: Settings) -> tuple[dict[str, SpaceManifest], str]:
    """(the manifest of each space that can be read, oldest first; the one that serves: where `pin_ranking` stands, else
    the newest).

    Raises:
        StoreError: nothing is published, or a manifest is damaged.
    """
    home = settings.home / "feast"
    manifests = written(home)
    if not manifests:
        raise StoreError(f"No space is published in {home}; run the pipeline first, or set PINCLIP_HOME.")
    return {manifest.name: manifest for manifest in manifests}, serving_space(settings) or manifests[-1].name


def published_space(name: str, settings: Settings) -> "SpaceObjects | None":
    """Feast's objects of a space whose publication is complete; None where there is no such space.

    Raises:
        StoreError: its manifest is damaged.
    """
    from feature_repo.ranking_services import SpaceObjects

    home = settings.home / "feast"
    return SpaceObjects(SpaceManifest.read(home, name)) if manifest_file(home, name).is_file() else None


def serving_space(settings: Settings) -> str | None:
    """The space that `pin_ranking` stands on, as the registry says now; None before the first."""
    from feature_repo.feature_files import serving_space

    with feast_errors(settings):
        return serving_space(settings.home / "feast")


def model_folder(uri: str, settings: Settings, copy_to: Path | None = None) -> Path:
    """The model folder within a registered version; a copy of it where MLflow's files are on another machine.

    It says within half a minute where MLflow, or the S3 behind it, does not answer.

    copy_to: where the copy is made in any case.

    Raises:
        StoreError: there is no such version, or its files cannot be read.
    """
    connect(settings)
    import mlflow

    try:
        with _impatient():  # one small file shows whether the others can be had
            flavour = mlflow.models.Model.load(uri).flavors["python_function"]
        version = Path(mlflow.artifacts.download_artifacts(uri, dst_path=copy_to and str(copy_to)))
    except Exception as error:  # each store of files raises errors of its own
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        reason = reason.replace(settings.mlflow_uri, "its server")  # the address may hold a password
        raise StoreError(
            f"The files of {uri} cannot be read from MLflow ({reason}); see that its server answers and has them."
        ) from error
    return version / flavour["artifacts"]["model"]["path"]


@contextmanager
def _impatient() -> Iterator[None]:
    """MLflow's client asks once more after some seconds, not for minutes."""
    before = {name: os.environ.get(name) for name in IMPATIENT}
    os.environ.update(IMPATIENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
