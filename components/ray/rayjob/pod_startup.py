"""Ray pods that do not start: what keeps them waiting, and which of it no waiting helps against."""

from collections.abc import Sequence

from components.ray.rayjob.job_end import status_of
from components.ray.rayjob.manifest import Object
from model.errors import TrainingError

TOLD = 300.0  # seconds that a pod may take to start before the step says so
# Reasons of the kubelet that a change of profile, image or Secret ends, and seldom time.
HOPELESS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError"}
)


class StartupWatch:
    """Watches a RayJob and its pods until they run."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}  # pod -> when it was first seen waiting
        self._told: set[tuple[str, str]] = set()

    def new_lines(self, job: Object, pods: Sequence[Object], now: float) -> list[str]:
        """Lines for the log: a reason that has a message at once, and whatever has waited TOLD seconds.

        Raises:
            TrainingError: a pod has waited that long for what does not come by waiting.
        """
        lines = []
        if status_of(job) == "New" and now - self._since.setdefault("", now) >= TOLD and self._is_new("", "late"):
            lines.append(f"KubeRay's operator has not looked at the RayJob for {TOLD / 60:.0f} min; check that it runs")
        for pod in pods:
            name, (reason, message) = pod["metadata"]["name"], waiting_reason(pod)
            if not reason:
                self._since.pop(name, None)
                continue
            late = now - self._since.setdefault(name, now) >= TOLD
            text = f"{reason}: {message}" if message else reason
            if late and reason in HOPELESS:
                raise TrainingError(
                    f"The pod {name} has not started for {TOLD / 60:.0f} min ({text}); correct `ray` in the deploy "
                    "profile, or make what it asks for."
                )
            if message and self._is_new(name, text):
                lines.append(f"The pod {name} waits: {text}")
            if late and self._is_new(name, "late"):
                told = f"The pod {name} has not started for {TOLD / 60:.0f} min"
                lines.append(f"{told} ({text}); `kubectl describe pod {name}` shows its events")
        return lines

    def _is_new(self, name: str, text: str) -> bool:
        new = (name, text) not in self._told
        self._told.add((name, text))
        return new


def waiting_reason(pod: Object) -> tuple[str, str]:
    """(reason, message) in Kubernetes' words: no node with room, an image, a Secret; ("", "") of a pod that runs."""
    status = pod.get("status") or {}
    unscheduled = (one for one in status.get("conditions") or [] if one["type"] == "PodScheduled")
    boxes = (*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or []))
    waiting = (box["state"]["waiting"] for box in boxes if (box.get("state") or {}).get("waiting"))
    for one in (*(found for found in unscheduled if found["status"] == "False"), *waiting):
        return one.get("reason") or "waiting", " ".join((one.get("message") or "").split())[:300]
    return ("Pending", "") if status.get("phase") == "Pending" and not boxes else ("", "")
