"""The files of a registered version: its model folder, out of MLflow."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.mlflow_client import connect
from components.settings import Settings
from model.errors import StoreError

# Seconds of one try, and further tries.
IMPATIENT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "8", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}


def model_folder(uri: str, settings: Settings, copy_to: Path | None = None) -> Path:
    """The model folder within a registered version; a copy of it where MLflow's files are on another machine.

    Where MLflow, or the S3 behind it, does not answer, it raises within half a minute.

    copy_to: where the copy is made in any case.

    Raises:
        StoreError: there is no such version, or its files cannot be read.
    """
    connect(settings)
    import mlflow

    try:
        with _impatient():  # one small file shows whether the others can be downloaded
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
    """Lets MLflow's client retry once after some seconds, not for minutes."""
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
