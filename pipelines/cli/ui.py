"""`pinclip ui`: MLflow's pages on the database that runs on this machine write to."""

import os
import socket
import sys

from rich.console import Console

from components.settings import Settings
from model.errors import RunError
from pipelines.local.runner import ENVIRONMENT

PORT = 5000


def serve(port: int | None) -> None:
    """Becomes the MLflow server; ends with Ctrl-C.

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
    port = port or (PORT if is_free(PORT) else _any_free())
    Console().print(f"MLflow starts on http://127.0.0.1:{port}, in a few seconds; Ctrl-C ends it.", highlight=False)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", settings.mlflow_uri]
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]  # one reader: each worker takes seconds
    os.execve(command[0], [*command, *options], os.environ | ENVIRONMENT)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
