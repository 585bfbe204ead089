"""`pinclip ui`: MLflow's pages on the database that runs on this machine write to."""

import os
import sys

from rich.console import Console

from components.settings import Settings
from model.errors import RunError
from pipelines.local.ports import MLFLOW, any_free, is_free
from pipelines.local.runner import ENVIRONMENT


def serve_ui(port: int | None) -> None:
    """Replaces this process by the MLflow server; ends with Ctrl-C.

    Raises:
        RunError: MLflow is a server elsewhere, no run has written a database yet, or the asked port is taken.
    """
    settings = Settings()
    if settings.mlflow_uri.startswith(("http://", "https://")):
        raise RunError("MLflow is a server already; open the address of PINCLIP_MLFLOW_URI in a browser.")
    if settings.mlflow_uri.startswith("sqlite:") and not (settings.home / "mlflow.db").is_file():
        raise RunError(f"There is no MLflow database in {settings.home}; run the pipeline first, or set PINCLIP_HOME.")
    if port is not None and not is_free(port):
        raise RunError(f"Port {port} is taken; choose another --port, or leave it out for a free one.")
    port = port or (MLFLOW if is_free(MLFLOW) else any_free())
    Console().print(f"MLflow starts on http://127.0.0.1:{port}, in a few seconds; Ctrl-C ends it.", highlight=False)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", settings.mlflow_uri]
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]  # one reader: each worker takes seconds
    os.execve(command[0], [*command, *options], os.environ | ENVIRONMENT)
