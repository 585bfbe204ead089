"""MLflow's client for the server or database of the settings, and its refusals as errors of one sentence."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from components.settings import Settings
from model.errors import StoreError

if TYPE_CHECKING:
    from mlflow import MlflowClient


def connect(settings: Settings) -> "MlflowClient":
    """MLflow's client for the server or database of the settings, without telemetry or chatter.

    Raises:
        StoreError: the database cannot be read.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for way in ("DOWNLOAD", "UPLOAD"):  # files go through MLflow's server: nobody but the server has to reach its S3
        os.environ.setdefault(f"MLFLOW_ENABLE_PROXY_MULTIPART_{way}", "false")
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    settings.home.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(settings.mlflow_uri)
    mlflow.set_registry_uri(settings.mlflow_uri)
    with mlflow_errors():
        return mlflow.MlflowClient()


@contextmanager
def mlflow_errors() -> Iterator[None]:
    """What MLflow refuses becomes a StoreError; the server's address stays out of it, for it may hold a password."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(
            f"MLflow's database cannot be read ({str(error).splitlines()[0]}); bring it back from a backup, or check "
            "PINCLIP_MLFLOW_URI."
        ) from None
    except MlflowException as error:
        missing = error.error_code == "RESOURCE_DOES_NOT_EXIST"
        fix = (
            "its page lists what there is, if PINCLIP_MLFLOW_URI names the right one"
            if missing
            else "check PINCLIP_MLFLOW_URI and that its server answers"
        )
        raise StoreError(f"MLflow refused ({str(error).splitlines()[0]}); {fix}.") from error
