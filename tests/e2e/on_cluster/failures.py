"""Trainings that end at once: by a mistake of the user's, by success, by a worker without memory.

Each end is to be told within a minute.
"""

from datetime import datetime

from tests.e2e.on_cluster import failure_details, profile, runs
from tests.e2e.on_cluster.checks import need
from tests.e2e.on_cluster.cluster_clients import Object, Site
from tests.e2e.on_cluster.end_delay import SOON, Watch, late, shown
from tests.e2e.on_cluster.steps import Failed

TOO_LARGE = "train.batch_size=100000"  # Pins a step, of a catalogue of 400: refused by model/training/loop.py
# 1.6 billion parameters, 6 GB, on a worker of 2 GiB.
TOO_BIG = ("vision.width=8192", "train.max_failures=0")
STARTS = 600.0  # seconds until the first training of a run has ended: steps before it, a Ray cluster


def mistake(site: Site) -> str:
    """A batch larger than the data: one sentence in the step's log, soon after the training has said so."""
    need(site, "KubeRay")
    run, step, watch = _failing(site, "mistake", TOO_LARGE)
    log = _log(site, run, step)
    sentence = next((line for line in reversed(log) if "train.batch_size is" in line), "")
    seconds = seconds_until_told(watch, runs.steps(runs.flow(site, run)), step)
    runs.stop(site, run)
    if not sentence:
        raise Failed(f"{step} failed, but its log does not say that the batch is larger than the data.", log[-8:])
    return f"{step} told it {seconds:.0f} s after its training ended: {sentence.strip()[-160:]}"


def success(site: Site) -> str:
    """Of the smoke run's trainings of one epoch: were they taken up at once when they had ended?"""
    need(site, "KubeRay")
    if not site.told:
        raise Failed("Nothing was seen of how the smoke run's trainings ended; run the step `smoke run` with this one.")
    if missed := late(site.told):
        raise Failed(f"A training that had succeeded was told late: {', '.join(missed)}; {SOON:.0f} s are allowed.")
    return f"Told at once: {shown(site.told)}."


def memory(site: Site) -> str:
    """A model three times as large as the worker's memory: the step fails with a sentence, and no retry hides it."""
    need(site, "KubeRay")
    run, step, watch = _failing(site, "memory", *TOO_BIG)
    log = _log(site, run, step)
    seconds = seconds_until_told(watch, runs.steps(runs.flow(site, run)), step)
    killed = "the kernel ended its worker" if step in watch.killed else "Ray ended its worker"
    runs.stop(site, run)
    sentence = next((line for line in reversed(log) if "Error" in line or "failed" in line), log[-1] if log else "")
    if not sentence:
        raise Failed(f"{step} failed without a word in its log.")
    return f"{killed}; {step} told it {seconds:.0f} s after its training ended: {sentence.strip()[-160:]}"


def _failing(site: Site, name: str, *settings: str) -> tuple[str, str, Watch]:
    """A run whose training fails, the step that did, and what was seen of its pods."""
    run, watch = runs.submit(site, profile.write(site, name, once=True), *settings), Watch(site)

    def failed() -> str | None:
        nodes = runs.steps(runs.flow(site, run))
        bad = [step for step, node in nodes.items() if node.get("phase") in ("Failed", "Error")]
        fit = [step for step in bad if step.startswith("train")]
        if bad and not fit:
            raise Failed(f"Run {run} failed at {bad[0]}, before any training.", runs.seen(site, run))
        if any(node.get("phase") == "Succeeded" for step, node in nodes.items() if step.startswith("train")):
            raise Failed(f"A training of run {run} succeeded that was to fail ({', '.join(settings)}).")
        return fit[0] if fit else None

    try:
        return run, runs.follow(site, run, failed, STARTS, "did not fail", watch), watch
    except Failed:
        runs.stop(site, run)
        raise


def seconds_until_told(watch: Watch, nodes: dict[str, Object], step: str) -> float:
    """Seconds from the end of the training to that of its step.

    Raises:
        Failed: they are too many, or nothing of the training was seen.
    """
    told = watch.told({step: nodes[step]})
    if step in watch.killed and step not in told:  # the submitter lived on until the RayJob was deleted
        told = {step: (_time(nodes[step]) - watch.killed[step]).total_seconds()}
    if not told:
        raise Failed(f"{step} failed before a pod of its RayJob was seen; read its log.")
    if late(told):
        raise Failed(f"The end of the training was told late: {shown(told)}; {SOON:.0f} s are allowed.")
    return told[step]


def _time(node: Object) -> datetime:
    return datetime.fromisoformat(node["finishedAt"])


def _log(site: Site, run: str, step: str) -> list[str]:
    workflow = runs.flow(site, run)
    pods = runs.pods_of(site, workflow, step) if workflow else []
    return failure_details.log(site, pods[-1].metadata.name, "main") if pods else []
