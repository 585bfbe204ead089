"""`pinclip sync --listen HOST:PORT`: starts a sync when MLflow's registry webhook calls.

    POST /mlflow   a message of MLflow's, signed with the secret: 202 where a sync follows, 200 where none is needed
    GET  /health

Messages that arrive during a sync cause one more sync after it. A failure is logged; the hourly sync, or the next
message, repeats the sync.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from components.registry.webhook import WebhookRefused, is_of_champion, verified
from model.errors import ConfigError, PinclipError, RunError
from pipelines.local.ports import is_free

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

SECRET = "PINCLIP_WEBHOOK_SECRET"  # the environment variable; files and command lines never hold the secret itself
MAX_BODY = 65_536  # bytes
BUSY = 5.0  # seconds until the next try, where another sync is at work


class Syncing:
    """A thread that syncs on request; requests that arrive during a sync are answered by one more."""

    def __init__(self, sync: Callable[[], None]) -> None:
        self.sync, self._asked = sync, threading.Event()
        threading.Thread(target=self._work, daemon=True).start()  # daemon: a sync may be killed at any time

    def ask(self) -> None:
        self._asked.set()

    def _work(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            try:
                self.sync()
            except RunError as error:
                _log(str(error))
                time.sleep(BUSY)
                self.ask()
            except (PinclipError, OSError) as error:
                _log(str(error))


def app(secret: str, model_name: str, syncing: Syncing) -> "Starlette":
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def hear(request: "Request") -> "Response":
        try:
            body = await _body(request)
            message = verified({k.lower(): v for k, v in request.headers.items()}, body, secret, time.time())
        except WebhookRefused as refusal:
            return JSONResponse({"error": str(refusal)}, refusal.status)
        if not is_of_champion(message, model_name):
            return JSONResponse({"sync": "not needed"})
        syncing.ask()
        return JSONResponse({"sync": "follows"}, 202)

    async def health(request: "Request") -> "Response":
        return JSONResponse({"ready": True})

    return Starlette(routes=[Route("/mlflow", hear, methods=["POST"]), Route("/health", health)])


def listen(address: str, model_name: str, sync: Callable[[], None]) -> None:
    """Listens until Ctrl-C or SIGTERM.

    Raises:
        ConfigError: the address is no HOST:PORT, or there is no secret.
        RunError: the port is taken.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit() and 0 < int(port) < 65_536):
        raise ConfigError(f"--listen {address} is no HOST:PORT; write e.g. --listen 127.0.0.1:8010.")
    secret = os.environ.get(SECRET, "")
    if not secret:
        raise ConfigError(f"Set {SECRET} in the environment: the secret that MLflow's webhook signs with.")
    if not is_free(int(port)):
        raise RunError(f"Port {port} is taken; choose another for --listen.")
    import uvicorn

    _log(f"waits for MLflow's webhook at http://{address}/mlflow; Ctrl-C ends it.")
    with suppress(KeyboardInterrupt):
        uvicorn.run(app(secret, model_name, Syncing(sync)), host=host, port=int(port), log_level="warning")


async def _body(request: "Request") -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise WebhookRefused(413, f"The message is longer than {MAX_BODY} bytes.")
    return body


def _log(sentence: str) -> None:
    sys.stderr.write(f"pinclip sync: {sentence}\n")
    sys.stderr.flush()
