"""The life of a RayJob: made or taken up, followed to its end, and deleted whatever happens.

Killed by SIGTERM it deletes its RayJob. Killed harder it cannot; the next start finds the RayJob by its name and takes
it up, and one that nobody comes back for ends at its deadline.
"""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from components.rayjob.api import HASTE, Kubernetes
from components.rayjob.log import LogReader
from components.rayjob.manifest import Object
from components.rayjob.spoken import Ears
from model.errors import ClusterError, TrainingError

PAUSE = 1.0  # seconds between two looks at a RayJob that is being deleted
GONE = 300.0  # seconds that KubeRay has to let one go
FAILED = ("Failed", "ValidationFailed")  # KubeRay's jobDeploymentStatus


def complete(kubernetes: Kubernetes, job: Object, ears: Ears) -> None:
    """Runs the RayJob to its end; what its training says goes to `ears`. There is none of its name afterwards.

    Raises:
        TrainingError: it failed, was stopped or was deleted by somebody else.
        ClusterError: the Kubernetes API refuses or does not answer.
    """
    name = job["metadata"]["name"]
    with _ending_with(lambda: _put_away(kubernetes, name)):
        _make_or_take_up(kubernetes, job)
        _follow(kubernetes, name, ears)


def _make_or_take_up(kubernetes: Kubernetes, job: Object) -> None:
    name, end = job["metadata"]["name"], time.monotonic() + GONE
    while time.monotonic() < end:
        found = kubernetes.get(name)
        if found is None:
            if kubernetes.create(job):
                return _tell(f"RayJob {name} made")
        elif found["metadata"].get("deletionTimestamp"):
            time.sleep(PAUSE)
        elif _status(found) in FAILED:
            kubernetes.delete(name)
        else:
            return _tell(f"RayJob {name} taken up")
    raise ClusterError(
        f"The RayJob {name} of an earlier try has not gone within {GONE:.0f} s; check that KubeRay's operator runs."
    )


def _follow(kubernetes: Kubernetes, name: str, ears: Ears) -> None:
    reader: LogReader | None = None
    told = ""
    try:
        for job in kubernetes.states(name):
            if job is None:
                raise TrainingError(
                    f"The RayJob {name} was deleted by somebody else; start the step again: it goes on from the last "
                    "snapshot."
                )
            if _status(job) != told:
                told = _status(job)
                _tell(f"RayJob {name}: {_explained(job)}")
            ray_cluster = job.get("status", {}).get("rayClusterName")
            if ray_cluster and (reader is None or reader.ray_cluster != ray_cluster):
                if reader:
                    reader.leave()
                reader = LogReader(kubernetes, ray_cluster, ears)
            if told in ("Complete", *FAILED):
                if reader:
                    reader.finish()
                return _check(job, ears)
    finally:
        if reader:
            reader.leave()


def _check(job: Object, ears: Ears) -> None:
    status = job["status"]
    if status["jobDeploymentStatus"] == "Complete" and status.get("jobStatus") == "SUCCEEDED":
        return
    what = ": ".join(filter(None, [status.get("reason") or status.get("jobStatus"), _first_line(status)]))
    tail = f"; its log ends with: {' | '.join(ears.tail)}" if ears.tail else ""
    raise TrainingError(
        f"The RayJob {job['metadata']['name']} failed ({what or 'no reason given'}){tail}; mend it and start the step "
        "again: it goes on from the last snapshot."
    )


def _status(job: Object) -> str:
    status: str = job.get("status", {}).get("jobDeploymentStatus", "")
    return status or ("Suspended" if job["spec"].get("suspend") else "New")


def _explained(job: Object) -> str:
    status = _status(job)
    return status + (", waiting in its queue" if status == "Suspended" else "")


def _first_line(status: dict[str, Any]) -> str:
    return next(iter(str(status.get("message") or "").strip().splitlines()), "").rstrip(".")[:300]


def _put_away(kubernetes: Kubernetes, name: str) -> None:
    try:
        kubernetes.delete(name, HASTE)
    except ClusterError as error:  # not the reason why the step ends
        _tell(f"RayJob {name} is still there, `kubectl delete rayjob {name}` ends it: {error}")


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def _ending_with(put_away: Callable[[], None]) -> Iterator[None]:
    """Calls put_away() after the block, also when SIGTERM ends it; a second SIGTERM does not disturb it."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            put_away()
        finally:
            signal.signal(signal.SIGTERM, before)
