"""The log of a RayJob's submitter, read along by a thread: every line once, through streams that break."""

import sys
from contextvars import copy_context
from threading import Event, Thread
from typing import Any

from components.rayjob.api import Kubernetes, passes
from components.rayjob.manifest import SUBMITTER
from components.rayjob.spoken import Ears
from model.errors import ClusterError

PAUSE = 1.0  # seconds between two looks
REST = 30.0  # seconds that the rest of the log has to come after the end


class LogReader:
    """Reads the log of one Ray cluster; a RayJob that is tried again has a new one."""

    def __init__(self, kubernetes: Kubernetes, ray_cluster: str, ears: Ears) -> None:
        self.kubernetes, self.ray_cluster, self.ears = kubernetes, ray_cluster, ears
        self._last = ""  # time stamp of the last line heard: a stream begins at the beginning
        self._waiting = ""
        self._ended = Event()
        # With this context, the thread speaks for the step that started it.
        self._thread = Thread(target=copy_context().run, args=(self._read_along,), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Waits for the rest of the log; its Ray cluster has ended."""
        self._ended.set()
        self._thread.join(REST)

    def leave(self) -> None:
        """Lets the log be; nobody waits for it any more."""
        self._ended.set()

    def _read_along(self) -> None:
        try:
            while True:
                last_look = self._ended.is_set()
                pod = self.kubernetes.head(self.ray_cluster)
                whole = pod is None or self._read(pod.metadata.name, follow=not last_look)
                self._tell_why(pod)
                if whole and (last_look or (pod and _has_ended(pod))):
                    return
                self._ended.wait(PAUSE)
        except ClusterError as error:  # the training goes on without being heard
            sys.stdout.write(f"Its log cannot be read: {error}\n")

    def _tell_why(self, pod: Any | None) -> None:
        """Repeats, as a line of the log, what Kubernetes says keeps the head from starting; once."""
        waiting = _waits_for(pod) if pod else ""
        if waiting and waiting != self._waiting:
            self.ears.hear(f"The head of Ray waits: {waiting}")
        self._waiting = waiting

    def _read(self, pod: str, follow: bool) -> bool:
        """Whether the stream went to its end."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            for stamp, line in self.kubernetes.log(pod, follow):
                if stamp > self._last:
                    self.ears.hear(line)
                    self._last = stamp
        except ApiException as error:
            if error.status in (400, 404):  # the container has not started, or its pod has gone
                return True
            if not passes(error):
                raise ClusterError(f"the Kubernetes API answered with {error.status}.") from None
            return False
        except HTTPError:
            return False
        return True


def _has_ended(pod: Any) -> bool:
    """Whether all of the log was there to be read when the pod was looked at."""
    return any(one.name == SUBMITTER and one.state.terminated for one in pod.status.container_statuses or [])


def _waits_for(pod: Any) -> str:
    """No node with room, an image that cannot be pulled, a secret that is missing; empty when nothing is said."""
    unscheduled = [one for one in pod.status.conditions or [] if one.type == "PodScheduled" and one.status == "False"]
    waiting = [one.state.waiting for one in pod.status.container_statuses or [] if one.state.waiting]
    said = [f"{one.reason}: {one.message}" for one in (*unscheduled, *waiting) if one.message]
    return " ".join(said[0].split())[:300] if said else ""
