"""The last log lines of register and publish: the verdict on the version, its reasons, and which space serves now.

A refused version fails no run. Whoever reads the log, or the run's metrics in KFP, must find the refusal there.
"""

import sys
from typing import TYPE_CHECKING, Any

from components.registry.versions import Registration
from components.settings import Settings
from components.spaces.published_spaces import serving_space
from model.errors import StoreError

if TYPE_CHECKING:
    from components.spaces.publish import Publication


def log_registration(registration: Registration, settings: Settings) -> None:
    """The last lines of register, which changes nothing that is served."""
    _tell(*_judged(registration), f"Now serving: {serving(settings)}.")


def log_publication(registration: Registration, publication: "Publication", settings: Settings) -> None:
    """The last lines of publish."""
    if publication.published:
        read = f"{publication.pins} Pins, {publication.checked} of them read back equal"
        done = f"Published as {publication.space}: {read}; version {registration.version} is the challenger."
        if not publication.serving:
            done += f" It serves once somebody promotes it: `pinclip promote {registration.version}`."
    else:
        done = f"Not published: version {registration.version} has no vectors online and no alias."
    _tell(*_judged(registration), done, f"Now serving: {serving(settings)}.")


def verdict_metrics(registration: Registration, settings: Settings) -> dict[str, Any]:
    """The same for the run's metrics in KFP, which compares numbers and shows texts."""
    verdict = registration.verdict
    return {
        "version": registration.version,
        "gate_passed": int(verdict.passed),
        "verdict": _word(registration),
        "reasons": " ".join(verdict.reasons),
        "serving": serving(settings),
    }


def serving(settings: Settings) -> str:
    """The space that rankers read, in words; where it cannot be read, the sentence says so and the step does not
    fail."""
    try:
        return serving_space(settings) or "nothing yet"
    except StoreError as error:
        return f"unknown ({error})"


def _judged(registration: Registration) -> list[str]:
    head = f"Version {registration.version} ({registration.uri}): {_word(registration)} by the gate."
    return [head, *(f"  - {reason}" for reason in registration.verdict.reasons)]


def _word(registration: Registration) -> str:
    return "passed" if registration.verdict.passed else "refused"


def _tell(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
