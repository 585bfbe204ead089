"""Runs the service on Ray Serve: one replica, which holds the index and is its only writer.

The encoder runs in it too: in a replica of its own every Pin would go to another process and back.
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

from ray import serve
from ray.serve.config import BackpressureConfig

from model.errors import PinclipError, RunError
from serving.service.api import api
from serving.service.closed_port import open_no_port
from serving.service.config import Find, Opening, ServiceConfig
from serving.service.guard import Guard
from serving.service.served_spaces import ServedSpaces
from serving.service.upkeep import BackgroundTask, give_back_memory

NAME = "pinclip"
QUIET = {"log_level": "WARNING", "enable_access_log": False}  # /metrics counts
READERS = 3  # times as many requests as are at work, whose bodies are on their way
SPARE = 32  # requests beyond those at work that get as far as the guard, which refuses them; and health


@serve.deployment
@serve.ingress()
class PinServer:
    def __init__(self, opening: Opening | Find, config: ServiceConfig) -> None:
        open_no_port()
        self.served, self.refusal = ServedSpaces(config), ""
        self.find = None if isinstance(opening, Opening) else opening
        metrics = self.served.metrics
        self.saving = BackgroundTask("save", config.save_s, self.served.save, metrics)
        self.tasks = [
            self.saving,
            BackgroundTask("follow", config.follow_s, self.served.follow, metrics),
            BackgroundTask("memory", config.trim_s, give_back_memory, metrics),
        ]
        if isinstance(opening, Opening):
            try:
                self.served.open(opening)
            except PinclipError as error:  # Ray would try again, and tell it as a traceback
                self.refusal = str(error)

    def refused(self) -> str:
        """Why there is nothing to serve, as a sentence; empty where there is."""
        return self.refusal

    def __serve_build_asgi_app__(self) -> Guard:
        app = api(self.served, lambda: not self.guard.closing, lambda: [task.overdue for task in self.tasks])
        app.router.lifespan_context = self._keeping
        self.guard = Guard(app, self.served.config, self.served.metrics, lambda: self.served.waits_for)
        return self.guard

    async def drain(self) -> None:
        """Accepts no more requests, answers those that were accepted, saves the indexes; what cannot be saved stays in
        the journal."""
        async with asyncio.timeout(self.served.config.drain_s):
            await self.guard.drained()
        await self.saving.once()

    @asynccontextmanager
    async def _keeping(self, app: Any) -> Any:
        """Background work of the service: opens what there is to serve, saves snapshots, takes in what others have
        accepted."""

        async def opened(find: Find) -> None:
            while self.served.waits_for:
                await asyncio.to_thread(self.served.open_when_there, find)
                await asyncio.sleep(config.look_s if self.served.waits_for else 0)

        config = self.served.config
        tasks = [asyncio.create_task(task.run()) for task in self.tasks]
        tasks += [asyncio.create_task(opened(self.find))] if self.find else []
        yield
        for task in tasks:
            task.cancel()


def serve_until_stopped(
    opening: Opening | Find, config: ServiceConfig, started: Callable[[], None] = lambda: None
) -> None:
    """Serves on the Ray that is there until SIGTERM or SIGINT; what was accepted by then gets its answer.

    opening: what to serve; or where to look for it, again and again: until it is found the service is not ready.

    Raises:
        RunError: `opening` cannot be served; it says why.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    serve.start(http_options={"host": config.host, "port": config.port}, logging_config=QUIET)
    handle = serve.run(_replica(config).bind(opening, config), name=NAME, route_prefix="/")
    try:
        if says := handle.refused.remote().result():
            raise RunError(says)
        started()
        stop.wait()
        handle.drain.remote().result(timeout_s=2 * config.drain_s)
    finally:
        serve.shutdown()


def _replica(config: ServiceConfig) -> Any:
    import ray

    gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
    deployment: Any = PinServer  # the decorator makes a Deployment of the class
    return deployment.options(
        num_replicas=1,
        ray_actor_options={"num_cpus": 1, "num_gpus": gpus},
        max_ongoing_requests=READERS * config.at_once + SPARE,
        # All of one caller's at once may wait to be handed over, and nobody else is turned away for them.
        max_queued_requests=config.per_caller + SPARE,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=1),
        graceful_shutdown_timeout_s=config.drain_s,
        logging_config=QUIET,
    )
