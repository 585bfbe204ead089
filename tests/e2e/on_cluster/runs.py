"""Runs of the training pipeline by `pinclip submit`, and what KFP, Argo and the pods say of them."""

import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.e2e.on_cluster import failure_details, profile
from tests.e2e.on_cluster.catalogue import CATALOGUE
from tests.e2e.on_cluster.cluster_clients import ARGO, Object, Site, program
from tests.e2e.on_cluster.end_delay import Watch
from tests.e2e.on_cluster.kfp_access import EXPERIMENT, server
from tests.e2e.on_cluster.steps import Failed

PINCLIP = str(Path(sys.executable).with_name("pinclip"))
ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
STEPS = 13  # of the training pipeline
# So few Pins say little about quality, and a busy node little about speed: what passes is to be published all the same.
LENIENT = ("gate.min_retention=0", "gate.max_regression=1", "gate.max_latency_ms=60000", "gate.max_latency_growth=100")
# The executor of a step in a Workflow, with "(0)" here and there where Argo's defaults say how pods are tried again.
EXECUTOR = re.compile(r"\.root(?:\(\d+\))?\.([a-z0-9-]+?)(?:\(\d+\))?\.executor(?:\((\d+)\))?$")
SECOND = {"train-2": "train-baseline", "embed-2": "embed-baseline"}  # as KFP calls the second use of a component


def smoke(site: Site) -> str:
    """The whole pipeline; both trainings end within seconds of their first step, and are to be told at once."""
    run = submit(site, profile.write(site), "train.epochs=1")
    watch = Watch(site)
    finish(site, run, 1500, watch)
    done = steps(flow(site, run))
    site.told |= watch.told(done)
    short = {name: _seconds(node) for name, node in done.items()}
    longest = max(short, key=lambda name: short[name], default="none")
    if len(done) < STEPS:
        site.clock.tell(f"{STEPS - len(done)} of {STEPS} steps came from KFP's cache")
    return f"Run {run} succeeded; {len(done)} steps ran, the longest {longest} ({short.get(longest, 0):.0f} s)."


def submit(site: Site, deploy_profile: Path, *settings: str) -> str:
    """The id of a new run."""
    server(site)
    options = [option for one in (*LENIENT, *settings) for option in ("--set", one)]
    command = [PINCLIP, "submit", "--catalogue", CATALOGUE, "--experiment", EXPERIMENT, "--profile", "smoke"]
    told = program([*command, "--deploy-profile", str(deploy_profile), *options], seconds=180)
    found = re.search(r"/runs/details/([\w-]+)", told)
    if not found:
        raise Failed(f"`pinclip submit` named no run: {told.strip()[-200:]}")
    site.clock.tell(f"run {found[1]} submitted ({', '.join(settings) or 'as the profile has it'})")
    return found[1]


def state(site: Site, run: str) -> str:
    """As KFP's API says: PENDING, RUNNING, SUCCEEDED …"""
    kfp = server(site)
    return str(kfp.call(kfp.client.get_run, run).state or "PENDING")


def finish(site: Site, run: str, seconds: float, watch: Watch | None = None) -> None:
    """Waits until the run has succeeded; tells every step that ends.

    Raises:
        Failed: it ended otherwise, or not within the time.
    """
    ended = follow(site, run, lambda: (now := state(site, run)) in ENDED and now, seconds, "did not end", watch)
    if ended != "SUCCEEDED":
        raise Failed(f"Run {run} ended as {ended}.", seen(site, run))


def follow(site: Site, run: str, look: Callable[[], Any], seconds: float, what: str, watch: Watch | None = None) -> Any:
    """Waits for `look` while it tells what becomes of the run's steps."""
    known = site.shown.setdefault(run, {})

    def once() -> Any:
        if watch:
            watch.look()
        for name, node in steps(flow(site, run)).items():
            phase = str(node.get("phase"))
            if phase not in ("Pending", known.get(name)):
                site.clock.tell(f"{name} {phase}{f' after {_seconds(node):.0f} s' if node.get('finishedAt') else ''}")
                known[name] = phase
        return look()

    return site.clock.until(once, seconds, f"Run {run} {what}", lambda: seen(site, run))


def flow(site: Site, run: str) -> Object | None:
    """Argo's Workflow of the run; None before it is made and after it is cleared away."""
    found: Any = site.ask(
        site.custom.list_namespaced_custom_object,
        **ARGO,
        namespace=site.namespace,
        label_selector=f"pipeline/runid={run}",
    )
    return next(iter(found["items"]), None)


def steps(workflow: Object | None) -> dict[str, Object]:
    """Step -> the node of the last try of its executor, of all steps that got a pod of their own."""
    newest: dict[str, tuple[int, Object]] = {}
    for node in ((workflow or {}).get("status", {}).get("nodes") or {}).values():
        match = EXECUTOR.search(node["name"])
        if match and node["type"] == "Pod":
            name, attempt = SECOND.get(match[1], match[1]), int(match[2] or 0)
            newest[name] = max(newest.get(name, (-1, node)), (attempt, node), key=lambda one: one[0])
    return {name: node for name, (_, node) in newest.items()}


def pods_of(site: Site, workflow: Object, step: str) -> list[Any]:
    """The executor pods of a step, the oldest first; Argo writes the node's name into an annotation."""
    found = []
    for pod in site.pods(f"workflows.argoproj.io/workflow={workflow['metadata']['name']}"):
        match = EXECUTOR.search((pod.metadata.annotations or {}).get("workflows.argoproj.io/node-name", ""))
        if match and SECOND.get(match[1], match[1]) == step:
            found.append(pod)
    return sorted(found, key=lambda pod: str(pod.metadata.creation_timestamp))


def seen(site: Site, run: str) -> Sequence[str]:
    """What failed or hangs in a run: nodes that ended badly, and the pods that have not succeeded."""
    try:
        workflow = flow(site, run)
    except Failed as error:
        return [str(error)]
    if workflow is None:
        return [f"There is no Workflow of run {run} in {site.namespace}."]
    nodes = (workflow.get("status", {}).get("nodes") or {}).values()
    bad = [one for one in nodes if one.get("phase") in ("Failed", "Error") and one["type"] == "Pod"]
    lines = [f"{one['name']}: {one['phase']}: {one.get('message', '')}" for one in bad[:4]]
    return [*lines, *failure_details.of_pods(site, f"workflows.argoproj.io/workflow={workflow['metadata']['name']}")][
        :40
    ]


def stop(site: Site, run: str) -> None:
    """Terminates a run and waits until neither it nor a RayJob is there."""
    kfp = server(site)
    if state(site, run) not in ENDED:
        kfp.call(kfp.client.terminate_run, run)
    follow(site, run, lambda: state(site, run) in ENDED, 120, "did not end after it was terminated")
    cleared(site, 120)


def cleared(site: Site, seconds: float) -> None:
    """Waits until the namespace has no RayJob."""

    def names() -> list[str]:
        return [one["metadata"]["name"] for one in site.rayjobs()]

    def still() -> list[str]:
        return [f"RayJob {name} is still there" for name in names()]

    site.clock.until(lambda: not names(), seconds, f"Not every RayJob left {site.namespace}", still)


def _seconds(node: Object) -> float:
    if not node.get("startedAt") or not node.get("finishedAt"):
        return 0.0
    return (datetime.fromisoformat(node["finishedAt"]) - datetime.fromisoformat(node["startedAt"])).total_seconds()
