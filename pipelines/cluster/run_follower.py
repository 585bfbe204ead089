"""Follows runs of KFP until they have ended: their state, and what keeps a step's pod from starting.

A pod that cannot start (an image that is not there, no node with room, a secret that is missing) is a run that is
RUNNING to KFP, for as long as the step's timeout. Kubernetes says why; where it may be asked, this says it after 5 min.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from model.errors import ClusterError
from pipelines.cluster.client import Cluster
from pipelines.cluster.kubernetes_view import Hidden, Object, View, view

PAUSE = 30.0  # seconds between two looks
STARTING = 300.0  # seconds after which a pod that has not started is reported
DONE = "SUCCEEDED"
ENDED = (DONE, "FAILED", "CANCELED", "SKIPPED")  # of KFP's v2beta1RuntimeState


class Follower:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.seen = cluster, view()
        self._told: set[tuple[str, str]] = set()

    def state(self, run_id: str) -> str:
        return str(self.cluster.call(self.cluster.client.get_run, run_id).state)

    def waiting(self, run_id: str) -> Iterator[str]:
        """A line for every pod of the run that does not start; once, and again where the reason is another one."""
        if self.seen is None:
            return
        try:
            found = list(waits(self.seen, self.cluster.namespace or self.seen.namespace, run_id))
        except Hidden:
            return
        for pod, why in found:
            if (pod, why) not in self._told:
                self._told.add((pod, why))
                yield f"The pod {pod} has not started in {STARTING / 60:.0f} min: {why}"

    def to_the_end(self, run_id: str) -> Iterator[str]:
        """A line for whatever changes. Raises ClusterError where the run fails."""
        state = ""
        while state not in ENDED:
            time.sleep(PAUSE if state else 0)
            before, state = state, self.state(run_id)
            if state != before:
                yield state.lower()
            yield from self.waiting(run_id)
        if state != DONE:
            raise ClusterError(f"The run ended as {state}; {self.cluster.address(run_id)} names the step and its log.")


def waits(seen: View, namespace: str, run_id: str = "") -> Iterator[tuple[str, str]]:
    """The pods of steps that have not started for STARTING seconds, and what Kubernetes says of them. Raises Hidden."""
    label = f"pipeline/runid={run_id}" if run_id else "pipelines.kubeflow.org/v2_component=true"
    for pod in seen.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=label):
        age = (datetime.now(UTC) - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])).total_seconds()
        if pod.get("status", {}).get("phase") == "Pending" and age > STARTING:
            yield pod["metadata"]["name"], _why(pod.get("status", {}))


def _why(status: Object) -> str:
    """ImagePullBackOff before PodInitializing, which says nothing; an account that is missing makes no pod at all."""
    boxes = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    waiting = [one["state"]["waiting"] for one in boxes if one.get("state", {}).get("waiting")]
    unscheduled = [one for one in status.get("conditions") or [] if one.get("status") == "False"]
    said = [one for one in (*waiting, *unscheduled) if one.get("message")] or waiting or [{}]
    text = ": ".join(filter(None, (said[0].get("reason"), said[0].get("message"))))
    return " ".join(text.split())[:300] or "Kubernetes says nothing of it yet"
