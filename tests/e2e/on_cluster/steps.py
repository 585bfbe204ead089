"""What a step of `make e2e-cluster` is, and how steps are run: one after the other, whatever becomes of one of them."""

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from model.errors import PinclipError

T = TypeVar("T")
PAUSE = 2.0  # seconds between two looks
PASSED, FAILED, NOT_TRIED = "passed", "failed", "not tried"


class Failed(Exception):
    """One sentence; `evidence` are the events and the last log lines of what it speaks of."""

    def __init__(self, sentence: str, evidence: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.evidence = tuple(evidence)


class NotTried(Exception):
    """The cluster lacks a part that the step is about; the sentence names it."""


@dataclass(frozen=True)
class Step:
    """`does` returns the sentence of what was seen. It is tried only after all of `needs` have passed."""

    name: str
    does: Callable[[Any], str]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    step: str
    state: str
    seconds: float
    said: str
    evidence: tuple[str, ...] = ()


def say(text: str) -> None:
    print(text, flush=True)


class Clock:
    """How long everything may take together, and each wait in it."""

    def __init__(self, minutes: float, say: Callable[[str], None] = say) -> None:
        self.started, self.total, self.say = time.monotonic(), minutes * 60, say

    def left(self) -> float:
        return self.started + self.total - time.monotonic()

    def tell(self, text: str) -> None:
        """A line within a step, with the time since the beginning."""
        passed = int(time.monotonic() - self.started)
        self.say(f"      {passed // 60:2d}:{passed % 60:02d}  {text}")

    def until(
        self, look: Callable[[], T | None], seconds: float, what: str, evidence: Callable[[], Sequence[str]] = tuple
    ) -> T:
        """The first answer of `look` that is neither None nor False.

        Raises:
            Failed: there is none within the time; the sentence begins with `what`.
        """
        limit = min(seconds, max(self.left(), 0.0))
        began = time.monotonic()
        while True:
            if (found := look()) is not None and found is not False:
                return found
            if time.monotonic() - began > limit:
                short = "" if limit == seconds else ", when the time for everything was over"
                raise Failed(f"{what} within {limit:.0f} s{short}.", evidence())
            time.sleep(PAUSE)


def run_all(
    steps: Sequence[Step], site: Any, clock: Clock, only: Sequence[str], note: Callable[[list[Outcome]], None]
) -> list[Outcome]:
    """Runs every step that can be tried; `note` gets all outcomes after each, so that a kill loses one at most."""
    outcomes: list[Outcome] = []
    for number, step in enumerate(steps, 1):
        clock.say(f"{number:2d}/{len(steps)}  {step.name} …")
        outcome = _run(step, site, clock, only, {one.step: one.state for one in outcomes})
        outcomes.append(outcome)
        note(outcomes)
        clock.say(f"       {outcome.state.upper()} in {outcome.seconds:.0f} s: {outcome.said}")
        for line in outcome.evidence:
            clock.say(f"         | {line}")
    return outcomes


def _run(step: Step, site: Any, clock: Clock, only: Sequence[str], before: dict[str, str]) -> Outcome:
    began = time.monotonic()

    def ended(state: str, said: str, evidence: Iterable[str] = ()) -> Outcome:
        return Outcome(step.name, state, round(time.monotonic() - began, 1), said, tuple(evidence))

    if only and step.name not in only:
        return ended(NOT_TRIED, "Left out by --only.")
    missing = [name for name in step.needs if before.get(name) != PASSED and (not only or name in only)]
    if missing:
        return ended(NOT_TRIED, f"It needs the step {missing[0]!r}, which has not passed.")
    if clock.left() <= 0:
        return ended(NOT_TRIED, f"The {clock.total / 60:.0f} minutes were over; --minutes gives more.")
    try:
        return ended(PASSED, step.does(site))
    except NotTried as reason:
        return ended(NOT_TRIED, str(reason))
    except Failed as failure:
        return ended(FAILED, str(failure), failure.evidence)
    except PinclipError as error:
        return ended(FAILED, str(error))
    except Exception as error:
        first = next(iter(str(error).splitlines()), "")
        return ended(FAILED, f"{type(error).__name__}: {first}", traceback.format_exc().splitlines()[-12:])
