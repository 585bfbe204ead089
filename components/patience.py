"""A server that is away for a while: a step does its work again when the server is back, inside its own pod.

    @patient
    def register(..., settings: Settings) -> Registration: ...

Argo tries a step's pod again, but which ends count is the installation's to say (docs/operations.md, "Retries"). This
half does not depend on it: the waits are those of the deploy profile's `retries`, handed over as PINCLIP_RETRIES.
Without them, on one machine, nobody waits. What a server refuses is told at once.
"""

import functools
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from pydantic import Field

from components.pods import Duration, StrictModel, duration_seconds
from components.servers import is_away
from model.errors import StoreError

P = ParamSpec("P")
R = TypeVar("R")
VARIABLE = "PINCLIP_RETRIES"


class Waits(StrictModel):
    """How often, and the pause before each: `wait`, then `factor` times as long each time."""

    count: int = Field(ge=0)
    wait: Duration = "0s"
    factor: int = Field(default=2, ge=1)  # Argo takes whole numbers

    def pauses(self) -> Iterator[int]:
        """In seconds."""
        for earlier in range(self.count):
            yield duration_seconds(self.wait) * self.factor**earlier


def patient(work: Callable[P, R]) -> Callable[P, R]:
    """`work` again after a StoreError while a server of its argument `settings` does not answer; it may be repeated."""
    signature = inspect.signature(work)

    @functools.wraps(work)
    def repeated(*arguments: P.args, **named: P.kwargs) -> R:
        settings = signature.bind(*arguments, **named).arguments["settings"]
        for pause in _pauses():
            try:
                return work(*arguments, **named)
            except StoreError as error:
                if not is_away(settings):
                    raise
                sys.stdout.write(f"{error} This step tries again in {pause} s.\n")
                sys.stdout.flush()
                time.sleep(pause)
        return work(*arguments, **named)

    return repeated


def _pauses() -> Iterator[int]:
    told = os.environ.get(VARIABLE)
    return Waits.model_validate_json(told).pauses() if told else iter(())
