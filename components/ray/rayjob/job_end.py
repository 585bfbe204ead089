"""Whether a RayJob's training is over, and how: judged by what the step sees itself.

KubeRay's status alone does not say it. In SidecarMode a submitter that has ended makes the head's pod unready. Where
the operator has not seen the Ray cluster ready before that, it waits in Initializing until a deadline and never looks
at the submitter (KubeRay 1.6.2: rayjob_controller.go lines 217 and 283, raycluster_controller.go line 1616). A training
that ends within seconds of the last pod's start is enough for that, or an operator that restarts meanwhile.

So, in this order:
    a container ran out of memory, and no figures are there     failed: the same pods would do so again
    the outcome is on the volume, and the submitter has ended   over
    KubeRay says Complete or Failed                             over, failed
    the submitter has ended, and KubeRay does nothing           failed
    the head has gone, and KubeRay does nothing                 failed
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from components.ray.rayjob.manifest import NODE_TYPE, SUBMITTER, Object
from components.ray.rayjob.progress_log import ProgressReader

FAILED = ("Failed", "ValidationFailed")  # KubeRay's jobDeploymentStatus
ENDED = ("Complete", *FAILED)
GRACE = 40.0  # seconds for KubeRay to act on an end, and for a file on NFS to be seen on another node
GONE = 300.0  # seconds for KubeRay to act on a head that is lost


@dataclass(frozen=True)
class End:
    failure: str = ""  # empty of a training that left its outcome, or refused in its log
    advice: str = "fix it"


class EndDetector:
    """Looks at one RayJob again and again; `outcome` reads the training's from the volume (Work.outcome)."""

    def __init__(self, outcome: Callable[[], str], progress: ProgressReader) -> None:
        self.outcome, self.progress = outcome, progress
        self._since: dict[str, float] = {}  # what stands, since when

    def check(self, job: Object, pods: Sequence[Object], now: float) -> End | None:
        """Its end; None while it goes on. `now` is in seconds of a clock that does not jump."""
        status, pod, submitter = status_of(job), head(pods), submitter_end(pods)
        works = status in ("Initializing", "Running") and not job["spec"].get("suspend")
        outcome = self.outcome()
        if outcome != "figures" and (memory := out_of_memory(pods)):
            return memory
        # To its training, a Ray cluster that is taken away looks like dead workers; on the next one it goes on.
        stays = status in ENDED or (works and pod is not None)
        if outcome == "figures" or (outcome and stays):
            return End() if status in ENDED or submitter or self._stands("outcome", now, GRACE) else None
        if status in ENDED:
            return self._by_kuberay(job["status"], now)
        if works:
            return self._by_pods(job["status"].get("rayClusterName", ""), pod, submitter, now)
        return None  # in its queue, or between two tries

    def _by_kuberay(self, status: Object, now: float) -> End | None:
        job_status = status.get("jobStatus", "")
        if status["jobDeploymentStatus"] != "Complete" or job_status != "SUCCEEDED":
            said = [status.get("reason") or job_status, _first_line(status)]
            return End(": ".join(filter(None, said)) or "no reason given")
        return End() if self.progress.refusal or self._stands("complete", now, GRACE) else None

    def _by_pods(self, ray_cluster: str, pod: Object | None, submitter: Object | None, now: float) -> End | None:
        """What KubeRay has not said, though it could have; `pod` is the head's."""
        if pod is None:
            if f"head of {ray_cluster}" in self._since and self._stands(f"loss of {ray_cluster}", now, GONE):
                return End("its head is lost, and KubeRay does not act on it", "check that KubeRay's operator runs")
            return None
        self._since[f"head of {ray_cluster}"] = now
        self._since.pop(f"loss of {ray_cluster}", None)
        if submitter is None:
            return None
        if self.progress.refusal:
            return End()
        if self._stands(f"end of {pod['metadata']['name']}", now, GRACE):
            reason = f", {submitter['reason']}" if submitter.get("reason") else ""
            return End(f"its submitter ended with exit code {submitter['exitCode']}{reason}, and left no outcome")
        return None

    def _stands(self, what: str, now: float, seconds: float) -> bool:
        return now - self._since.setdefault(what, now) >= seconds


def status_of(job: Object) -> str:
    """KubeRay's jobDeploymentStatus; of a RayJob that it has not looked at, New or Suspended."""
    status: str = job.get("status", {}).get("jobDeploymentStatus", "")
    return status or ("Suspended" if job["spec"].get("suspend") else "New")


def head(pods: Sequence[Object]) -> Object | None:
    """The pod of Ray's head that is not being deleted."""
    return next(
        (
            pod
            for pod in pods
            if pod["metadata"]["labels"].get(NODE_TYPE) == "head" and not pod["metadata"].get("deletionTimestamp")
        ),
        None,
    )


def submitter_end(pods: Sequence[Object]) -> Object | None:
    """The terminated state of the submitter in the head's pod."""
    pod = head(pods)
    return next((state for name, state in _ends(pod) if name == SUBMITTER), None) if pod else None


def out_of_memory(pods: Sequence[Object]) -> End | None:
    """Of a container that the kernel killed for its memory, now or before its restart."""
    for pod in pods:
        for name, state in _ends(pod):
            if state.get("reason") == "OOMKilled":
                group = "head" if pod["metadata"]["labels"].get(NODE_TYPE) == "head" else "workers"
                where = f"container {name}{_limit(pod, name)}"
                return End(
                    f"its pod {pod['metadata']['name']} ran out of memory: OOMKilled, {where}",
                    f"raise the memory of ray.{group} in the deploy profile, or lower train.batch_size",
                )
    return None


def _ends(pod: Object) -> list[tuple[str, Object]]:
    """(container, terminated state), of this life and the one before."""
    boxes = (pod.get("status") or {}).get("containerStatuses") or []
    states = [(box["name"], box.get(which) or {}) for box in boxes for which in ("state", "lastState")]
    return [(name, state["terminated"]) for name, state in states if state.get("terminated")]


def _limit(pod: Object, container: str) -> str:
    for box in (pod.get("spec") or {}).get("containers") or []:
        if box["name"] == container and (limit := (box.get("resources") or {}).get("limits", {}).get("memory")):
            return f", limit {limit}"
    return ""


def _first_line(status: Object) -> str:
    return next(iter(str(status.get("message") or "").strip().splitlines()), "").rstrip(".")[:300]
