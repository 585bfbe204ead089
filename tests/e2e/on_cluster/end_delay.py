"""How soon a training's end is told: from the end of its last container in Ray's pods to the end of the step."""

import re
from datetime import UTC, datetime
from typing import Any

from components.ray.rayjob.manifest import SUBMITTER
from tests.e2e.on_cluster.cluster_clients import Object, Site

SOON = 60.0  # seconds in which a training that has ended is to be told
POD = re.compile(r"^pinclip-(train(?:-baseline)?)-[0-9a-f]{12}-")  # of a RayJob: components/ray/rayjob/training.py


class Watch:
    """Looks at Ray's pods while a run goes on; they are gone when it is over."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.ended: dict[str, datetime] = {}  # step -> when the submitter ended, the last one seen
        self.running: dict[str, datetime] = {}  # step -> when it was last seen to run
        self.killed: dict[str, datetime] = {}  # step -> when the kernel ended a worker for its memory

    def look(self) -> None:
        for pod in self.site.pods(""):
            match = POD.match(pod.metadata.name)
            for box in (pod.status.container_statuses or []) if match else []:
                self._note(match[1], box)

    def _note(self, step: str, box: Any) -> None:
        done = next((s.terminated for s in (box.state, box.last_state) if s and s.terminated), None)
        if done and done.reason == "OOMKilled" and done.finished_at:
            self.killed[step] = done.finished_at
        if box.name == SUBMITTER:
            if done and done.finished_at:
                self.ended[step] = done.finished_at
            elif box.state and box.state.running:
                self.running[step] = datetime.now(UTC)

    def told(self, steps: dict[str, Object]) -> dict[str, float]:
        """Step -> seconds from the end of its training to its own, of the steps that have ended; at most, where the
        training's pods went before they were seen to have ended."""
        found = {}
        for step, node in steps.items():
            since = self.ended.get(step) or self.running.get(step)
            if since and node.get("finishedAt"):
                found[step] = max(0.0, (datetime.fromisoformat(node["finishedAt"]) - since).total_seconds())
        return found


def late(told: dict[str, float]) -> list[str]:
    return [f"{step} after {seconds:.0f} s" for step, seconds in sorted(told.items()) if seconds > SOON]


def shown(told: dict[str, float]) -> str:
    return ", ".join(f"{step} after {seconds:.0f} s" for step, seconds in sorted(told.items()))
