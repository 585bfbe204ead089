"""What disturbs a training at work: Kueue takes its place away, its step's pod is deleted, its run is terminated."""

import time
from typing import Any

from tests.e2e.on_cluster import profile, runs
from tests.e2e.on_cluster.checks import need
from tests.e2e.on_cluster.cluster_clients import Object, Site
from tests.e2e.on_cluster.steps import Failed

ENDLESS = "train.epochs=100000"
WORKLOADS = {"group": "kueue.x-k8s.io", "version": "v1beta2", "plural": "workloads"}
BEGINS = 600.0  # seconds until a training is at work: steps before it, a place in the queue, a Ray cluster
GONE = 60.0  # seconds that a RayJob may outlive the step that made it


def suspended(site: Site) -> str:
    """Kueue takes the training's place away and gives it back."""
    need(site, "KubeRay")
    need(site, "Kueue")
    _, job = at_work(site)
    name = job["metadata"]["name"]

    def hold_others(held: bool) -> None:
        """Else one of them would get the place that becomes free, and keep it."""
        for one in workloads(site):
            if owner(one) != name and one["spec"].get("active", True) == held:
                activate(site, one, not held)

    hold_others(True)
    try:
        (mine,) = [one for one in workloads(site) if owner(one) == name][:1] or [None]
        if mine is None:
            raise Failed(f"Kueue has no Workload of the RayJob {name}; does it manage ray.io/rayjob?")
        activate(site, mine, False)
        waited = _until_status(site, name, ("Suspended",), 120)
        hold_others(True)  # the second training's may have come in between
        activate(site, mine, True)
        again = _until_status(site, name, ("Running",), 300)
    finally:
        hold_others(False)
    return (
        f"RayJob {name}: suspended {waited:.0f} s after its Workload, at work {again:.0f} s after it was let in again."
    )


def deleted(site: Site) -> str:
    """A step's pod is deleted: Argo tries it again and the RayJob is taken up, or the RayJob goes with it."""
    need(site, "KubeRay")
    run, job = at_work(site)
    name, workflow = job["metadata"]["name"], runs.flow(site, run)
    step = "train-baseline" if "baseline" in name else "train"
    pods = runs.pods_of(site, workflow, step) if workflow else []
    if not pods:
        raise Failed(f"The pod of {step} in run {run} was not found.", runs.seen(site, run))
    site.ask(site.core.delete_namespaced_pod, pods[-1].metadata.name, site.namespace)
    site.clock.tell(f"pod {pods[-1].metadata.name} deleted")

    def outcome() -> str | None:
        now = runs.pods_of(site, workflow, step)
        again = [pod for pod in now if pod.metadata.uid != pods[-1].metadata.uid and pod not in pods]
        if any(
            pod.status.phase == "Running" for pod in again if pod.metadata.name not in {p.metadata.name for p in pods}
        ):
            return "again"
        node = runs.steps(runs.flow(site, run)).get(step, {})
        return "given up" if node.get("phase") in ("Error", "Failed") and not again else None

    became = runs.follow(site, run, outcome, 240, f"did nothing about the deleted pod of {step}")
    if became == "again":
        _until_status(site, name, ("Running",), 300)
        return f"Argo tried {step} again, and its RayJob is at work."

    def gone() -> bool:
        return name not in {one["metadata"]["name"] for one in site.rayjobs()}

    site.clock.until(gone, GONE, f"This Argo tries no deleted pod again, and the RayJob {name} did not go")
    return f"This Argo tries no deleted pod again (docs/operations.md says what sets that); the RayJob {name} went."


def terminated(site: Site) -> str:
    """A run is terminated while it trains: no RayJob may be left."""
    need(site, "KubeRay")
    run, job = at_work(site)
    kfp = runs.server(site)
    kfp.call(kfp.client.terminate_run, run)
    site.endless = ""
    runs.cleared(site, GONE)
    runs.follow(site, run, lambda: runs.state(site, run) in runs.ENDED, 120, "did not end after it was terminated")
    return f"Run {run} ended as {runs.state(site, run)}; RayJob {job['metadata']['name']} and all others are gone."


def at_work(site: Site) -> tuple[str, Object]:
    """A run and a RayJob of it that trains: that of the step before, where it still does."""
    if site.endless and runs.state(site, site.endless) in runs.ENDED:
        site.endless = ""
    if not site.endless:
        runs.cleared(site, 120)
        site.endless = runs.submit(site, profile.write(site), ENDLESS)
    run = site.endless

    def running() -> Object | None:
        if runs.state(site, run) in runs.ENDED:
            raise Failed(f"Run {run} ended before it trained.", runs.seen(site, run))
        return next((one for one in site.rayjobs() if status(one) == "Running"), None)

    return run, runs.follow(site, run, running, BEGINS, "has no training at work")


def status(job: Object) -> str:
    return str(job.get("status", {}).get("jobDeploymentStatus", ""))


def workloads(site: Site) -> list[Object]:
    found: Any = site.ask(site.custom.list_namespaced_custom_object, **WORKLOADS, namespace=site.namespace)
    return [one for one in found["items"] if owner(one)]


def owner(workload: Object) -> str:
    """The RayJob that a Workload stands for."""
    owners = workload["metadata"].get("ownerReferences", [])
    return next((one["name"] for one in owners if one["kind"] == "RayJob"), "")


def activate(site: Site, workload: Object, active: bool) -> None:
    """As `kubectl kueue stop workload` and `resume workload` do."""
    name = workload["metadata"]["name"]
    body = {"spec": {"active": active}}
    site.ask(
        site.custom.patch_namespaced_custom_object,
        **WORKLOADS,
        namespace=site.namespace,
        name=name,
        body=body,
        none_for={404},
    )
    site.clock.tell(f"workload {name} {'activated' if active else 'deactivated'}")


def _until_status(site: Site, name: str, wanted: tuple[str, ...], seconds: float) -> float:
    """Seconds until the RayJob has one of the statuses."""
    began = time.monotonic()

    def there() -> bool:
        return any(status(one) in wanted for one in site.rayjobs() if one["metadata"]["name"] == name)

    def now() -> list[str]:
        return [f"RayJob {one['metadata']['name']}: {one.get('status', {})}"[:400] for one in site.rayjobs()]

    site.clock.until(there, seconds, f"The RayJob {name} did not become {' or '.join(wanted)}", now)
    return time.monotonic() - began
