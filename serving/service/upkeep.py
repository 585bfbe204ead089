"""The service's background tasks. A failure is logged and counted, the task goes on, and readiness tells when it has
not succeeded for too long."""

import asyncio
import ctypes
import gc
import logging
import time
from collections.abc import Callable, Sequence

from serving.service.metrics import ServiceMetrics

PATIENCE_S = 60.0  # beyond its period that a task may be without success before the service is not ready
AGAIN_S = 5.0  # until the next try of one that failed, if its period is longer


class BackgroundTask:
    def __init__(self, name: str, seconds: float, work: Callable[[], None], metrics: ServiceMetrics) -> None:
        self.name, self.seconds, self.work, self.metrics = name, seconds, work, metrics
        self.succeeded, self._said = time.monotonic(), ""
        metrics.failures.labels(name)  # 0 from the beginning
        metrics.late.labels(name).set_function(lambda: time.monotonic() - self.succeeded)

    async def run(self) -> None:
        """Works once a period, until it is cancelled."""
        self.succeeded = time.monotonic()  # opening the spaces may have taken minutes
        while True:
            await asyncio.sleep(self.seconds if not self._said else min(self.seconds, AGAIN_S))
            await self.once()

    async def once(self) -> None:
        try:
            await asyncio.to_thread(self.work)
        except Exception as error:  # whatever it is, the next try may succeed
            self.metrics.failures.labels(self.name).inc()
            if self._said != (said := _reason(error)):
                logging.getLogger("ray.serve").error("The task %s fails: %s", self.name, said, exc_info=error)
            self._said = said
        else:
            if self._said:
                logging.getLogger("ray.serve").warning("The task %s succeeds again.", self.name)
            self.succeeded, self._said = time.monotonic(), ""

    @property
    def overdue(self) -> str:
        """What to tell who asks whether the service is ready; empty while all is well."""
        seconds = time.monotonic() - self.succeeded
        if seconds <= self.seconds + PATIENCE_S:
            return ""
        why = f" ({self._said})" if self._said else ""
        return f"The task {self.name} has not succeeded for {seconds:.0f} s{why}; see the service's log."


def each(steps: Sequence[Callable[[], None]]) -> None:
    """Does all steps, also after one that fails.

    Raises:
        ExceptionGroup: of the errors.
    """
    errors = []
    for step in steps:
        try:
            step()
        except Exception as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup(_reason(errors[0]), errors)


def give_back_memory() -> None:
    """Returns freed memory to the operating system, which glibc otherwise keeps after large requests."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _reason(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        return error.message
    return str(error).rstrip(".") or type(error).__name__
