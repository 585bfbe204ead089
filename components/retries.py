"""Retries inside a step: while a server does not answer, the step waits and repeats its work in the same pod.

    @with_retries
    def register(..., settings: Settings) -> Registration: ...

Argo tries a step's pod again, but the installation decides after which failures (docs/operations.md, "Retries"). These
retries do not depend on that: their waits are the deploy profile's `retries`, passed as PINCLIP_RETRIES. Without it, on
one machine, nothing is retried. A server's refusal is raised at once.
"""

import functools
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from pydantic import Field

from components.kubernetes_types import Duration, StrictModel, duration_seconds
from components.server_checks import is_unreachable
from model.errors import StoreError

P = ParamSpec("P")
R = TypeVar("R")
VARIABLE = "PINCLIP_RETRIES"


class RetrySchedule(StrictModel):
    """How often to retry, and the pause before each retry: `wait`, then `factor` times as long each time."""

    count: int = Field(ge=0)
    wait: Duration = "0s"
    factor: int = Field(default=2, ge=1)  # Argo takes whole numbers

    def pauses(self) -> Iterator[int]:
        """In seconds."""
        for earlier in range(self.count):
            yield duration_seconds(self.wait) * self.factor**earlier


def with_retries(work: Callable[P, R]) -> Callable[P, R]:
    """Repeats `work` after a StoreError while a server of its argument `settings` does not answer; `work` must be safe
    to repeat."""
    signature = inspect.signature(work)

    @functools.wraps(work)
    def repeated(*arguments: P.args, **named: P.kwargs) -> R:
        settings = signature.bind(*arguments, **named).arguments["settings"]
        for pause in _pauses():
            try:
                return work(*arguments, **named)
            except StoreError as error:
                if not is_unreachable(settings):
                    raise
                sys.stdout.write(f"{error} This step tries again in {pause} s.\n")
                sys.stdout.flush()
                time.sleep(pause)
        return work(*arguments, **named)

    return repeated


def _pauses() -> Iterator[int]:
    told = os.environ.get(VARIABLE)
    return RetrySchedule.model_validate_json(told).pauses() if told else iter(())
