"""What is shown of an object that a step failed on: its events, and the last lines of its pods' logs."""

from typing import Any

from tests.e2e.on_cluster.cluster_clients import Site
from tests.e2e.on_cluster.steps import Failed

EVENTS, LINES = 5, 8  # of each object; of each container


def of_object(site: Site, name: str, namespace: str = "") -> list[str]:
    """The last events that name the object: "Warning FailedMount (6 times): secret "x" not found"."""
    where = namespace or site.namespace
    try:
        found = site.ask(site.core.list_namespaced_event, where, field_selector=f"involvedObject.name={name}")
    except Failed as error:
        return [f"{name}: its events cannot be read: {error}"]
    items = sorted(found.items if found else [], key=lambda one: str(one.last_timestamp or one.event_time or ""))
    return [f"{name}: {one.type} {one.reason}{_times(one.count)}: {_line(one.message)}" for one in items[-EVENTS:]]


def of_pod(site: Site, pod: Any) -> list[str]:
    """Its events, what its containers wait for or ended with, and their last lines."""
    name, namespace = pod.metadata.name, pod.metadata.namespace or site.namespace
    shown = of_object(site, name, namespace)
    if pod.status.phase in ("Failed", "Pending") and (pod.status.message or pod.status.reason):
        shown.append(f"{name}: {pod.status.phase}: {_line(pod.status.reason)} {_line(pod.status.message)}")
    for box in [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]:
        state = box.state
        if state and state.waiting:
            shown.append(f"{name}/{box.name} waits: {state.waiting.reason}: {_line(state.waiting.message)}")
            continue
        if state and state.terminated:
            shown.append(f"{name}/{box.name} ended with {state.terminated.exit_code} ({state.terminated.reason})")
        shown += [f"{name}/{box.name}> {line}" for line in log(site, name, box.name, namespace, LINES)]
    return shown


def of_pods(site: Site, selector: str, namespace: str = "") -> list[str]:
    """Of all pods that the selector finds, those that have not succeeded."""
    try:
        pods = site.pods(selector, namespace)
    except Failed as error:
        return [f"The pods {selector} cannot be read: {error}"]
    found = [line for pod in pods if pod.status.phase != "Succeeded" for line in of_pod(site, pod)]
    return found or [f"There are {len(pods)} pods {selector}, none of them with anything to say."]


def log(site: Site, pod: str, container: str, namespace: str = "", lines: int = 400) -> list[str]:
    """The last lines of a container; empty where there is no log."""
    try:
        text = site.ask(
            site.core.read_namespaced_pod_log,
            pod,
            namespace or site.namespace,
            container=container,
            tail_lines=lines,
            none_for={400, 404},
        )
    except Failed as error:
        return [str(error)]
    return [line for line in (text or "").splitlines() if line.strip()]


def _times(count: int | None) -> str:
    return f" ({count} times)" if (count or 1) > 1 else ""


def _line(text: str | None) -> str:
    return " ".join((text or "").split())[:300]
