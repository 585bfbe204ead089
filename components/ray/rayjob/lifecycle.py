"""The life of a RayJob: made or taken up, followed to its end, and deleted whatever happens.

Killed by SIGTERM, the first thing the step does is to delete its RayJob: it may have a second left. Killed harder it
cannot; the next start finds the RayJob by its name and takes it up, and one that nobody comes back for ends itself
(components/ray/rayjob/heartbeat.py).
"""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import FrameType

from components.ray.rayjob.api import Kubernetes
from components.ray.rayjob.job_end import ENDED, End, EndDetector, status_of
from components.ray.rayjob.log import Log
from components.ray.rayjob.manifest import Object
from components.ray.rayjob.pod_startup import StartupWatch
from components.ray.rayjob.progress_log import ProgressReader
from model.errors import ClusterError, TrainingError

POLL_INTERVAL = 5.0  # seconds between two looks at a RayJob and its pods
PAUSE = 1.0  # seconds between two looks at one that is being deleted
GONE = 300.0  # seconds that KubeRay has to let one go


def complete(kubernetes: Kubernetes, job: Object, progress: ProgressReader, outcome: Callable[[], str]) -> None:
    """Runs the RayJob to its end; what its training says goes to `progress`. There is none of its name afterwards.

    `outcome` reads it from the volume (Work.outcome).

    Raises:
        TrainingError: it failed, was stopped or was deleted by somebody else.
        ClusterError: the Kubernetes API refuses or does not answer, or KubeRay is too old.
    """
    with _deleted_afterwards(kubernetes, job["metadata"]["name"]):
        _make_or_take_up(kubernetes, job, outcome)
        _follow(kubernetes, job["metadata"]["name"], progress, outcome)


def _make_or_take_up(kubernetes: Kubernetes, job: Object, outcome: Callable[[], str]) -> None:
    name, end = job["metadata"]["name"], time.monotonic() + GONE
    while time.monotonic() < end:
        found = kubernetes.get(name)
        if found is None:
            _rehearse(kubernetes, job)
            if kubernetes.create(job):
                return _tell(f"RayJob {name} made")
        elif found["metadata"].get("deletionTimestamp"):
            time.sleep(PAUSE)
        elif status_of(found) in ENDED and not outcome():
            kubernetes.delete(name)  # it failed, or ended itself when nobody followed it
        else:
            return _tell(f"RayJob {name} taken up")
    raise ClusterError(
        f"The RayJob {name} of an earlier try has not gone within {GONE:.0f} s; check that KubeRay's operator runs."
    )


def _rehearse(kubernetes: Kubernetes, job: Object) -> None:
    """An API server drops what its CRDs do not know, and a RayJob without its deadlines is another one."""
    taken = kubernetes.create(job, rehearsal=True)
    if taken is None:
        return
    asked, known = job["spec"], taken["spec"]
    inner = "rayClusterSpec"
    if unknown := sorted({*asked} - {*known}) or sorted({*asked[inner]} - {*known[inner]}):
        raise ClusterError(
            f"This cluster's KubeRay does not know {', '.join(unknown)} of a RayJob; install KubeRay 1.6 or newer, its "
            "CRDs included."
        )


def _follow(kubernetes: Kubernetes, name: str, progress: ProgressReader, outcome: Callable[[], str]) -> None:
    detector, startup, log, told = EndDetector(outcome, progress), StartupWatch(), Log(kubernetes, progress), ""
    with closing(log):
        while job := kubernetes.get(name):
            if status_of(job) != told:
                told = status_of(job)
                _tell(f"RayJob {name}: {told}{', waiting in its queue' if told == 'Suspended' else ''}")
            ray_cluster = job.get("status", {}).get("rayClusterName", "")
            log.read(ray_cluster)
            pods, now = kubernetes.pods(ray_cluster) if ray_cluster else [], time.monotonic()
            for line in startup.new_lines(job, pods, now):
                progress.read_line(line)
            if end := detector.check(job, pods, now):
                log.finish()
                return _check(name, end, progress)
            time.sleep(POLL_INTERVAL)
    raise TrainingError(
        f"The RayJob {name} was deleted by somebody else; start the step again: it goes on from the last snapshot."
    )


def _check(name: str, end: End, progress: ProgressReader) -> None:
    if end.failure:
        tail = f"; its log ends with: {' | '.join(progress.tail)}" if progress.tail else ""
        raise TrainingError(
            f"The RayJob {name} failed ({end.failure}){tail}; {end.advice} and start the step again: it goes on from "
            "the last snapshot."
        )


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextmanager
def _deleted_afterwards(kubernetes: Kubernetes, name: str) -> Iterator[None]:
    """Deletes the RayJob after the block, or at once when SIGTERM comes; a second SIGTERM does not disturb it."""
    killed = False

    def leave(number: int, frame: FrameType | None) -> None:
        nonlocal killed
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        killed = True
        kubernetes.delete_at_once(name)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            if not killed:
                _put_away(kubernetes, name)
        finally:
            signal.signal(signal.SIGTERM, before)


def _put_away(kubernetes: Kubernetes, name: str) -> None:
    try:
        kubernetes.delete(name, hasty=True)
    except ClusterError as error:  # not the reason why the step ends
        _tell(f"RayJob {name} is still there, `kubectl delete rayjob {name}` ends it: {error}")
