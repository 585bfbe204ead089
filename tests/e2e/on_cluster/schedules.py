"""A schedule that fires twice: two runs that both train, two versions in MLflow. Other steps go on until it has."""

import json
import re
from dataclasses import dataclass
from typing import Any

import yaml

from tests.e2e.on_cluster import jobs, profile, runs
from tests.e2e.on_cluster.catalogue import CATALOGUE
from tests.e2e.on_cluster.cluster_clients import Site, program
from tests.e2e.on_cluster.kfp_access import EXPERIMENT, server
from tests.e2e.on_cluster.steps import Failed

NAME = "e2e-twice"
SCHEDULES = f"{EXPERIMENT}-schedules"  # an experiment of its own: `apply` deletes what it made there and the file lacks
MINUTES = 3  # between two firings; the two runs go on side by side
# Printed by Python in a pod that may speak to MLflow, whose address it has as the steps have it; nothing, before the
# first registration.
VERSIONS = """
import json
from components.mlflow_client import connect
from components.settings import Settings
settings = Settings()
client, ours = connect(settings), f"name = '{settings.model_name}'"
for one in client.search_model_versions(ours):
    print("VERSION", json.dumps({**dict(one.tags), "version": int(one.version)}))
for model in client.search_registered_models(ours):
    for alias, version in model.aliases.items():
        print("ALIAS", json.dumps({"alias": alias, "version": int(version)}))
"""


@dataclass(frozen=True)
class Applied:
    """What was there before the schedule was."""

    experiment: str
    runs: set[str]
    versions: set[int]


def applied(site: Site) -> str:
    """The schedule is made; it is deleted at the end, whatever becomes of the steps between."""
    before = {one["version"] for one in versions(site)}
    kfp = server(site)
    experiment = kfp.experiment(SCHEDULES)
    site.applied = Applied(experiment, {run.run_id for run in all_runs(kfp, experiment)}, before)
    site.closing.append(lambda: take_off(site))
    pinclip(site, "apply")
    (account,) = {one.service_account for one in recurring(kfp, experiment)}
    return f"{NAME} fires every {MINUTES} minutes, as {account}."


def take_off(site: Site) -> None:
    if site.applied:
        site.applied = None
        pinclip(site, "delete", NAME)


def fires_twice(site: Site) -> str:
    """Fired twice, then paused; both runs succeed, both train, and MLflow has two versions more."""
    if not site.applied:  # with --only
        applied(site)
    was: Applied = site.applied
    try:
        first, second = both(site, was.experiment, was.runs)
        pinclip(site, "pause", NAME)
        for run in (first, second):
            runs.finish(site, run, 1800)
    finally:
        take_off(site)
        for one in all_runs(
            server(site), was.experiment
        ):  # a third, or what did not end: the next steps need the queue
            if one.state not in runs.ENDED:
                runs.stop(site, one.run_id)
    for run in (first, second):
        if "train" not in runs.steps(runs.flow(site, run)):
            raise Failed(f"Run {run} of the schedule trained nothing: its training came from KFP's cache.")
    new = [one for one in versions(site) if one["version"] not in was.versions]
    named = ", ".join(f"version {one['version']} of run {one.get('pinclip.run_id', '?')}" for one in new)
    if len({one.get("pinclip.run_id") for one in new}) < 2:
        raise Failed(f"Two runs succeeded, but MLflow has {named or 'no new version'}: the second joined the first.")
    return f"Runs {first} and {second}: {named}."


def file(site: Site) -> str:
    """The schedule as code, written for this call."""
    schedule = {
        "pipeline": "training",
        "cron": f"0 */{MINUTES} * * * *",
        "deploy_profile": str(profile.write(site).resolve()),
        "settings": settings(),
        "arguments": {"catalogue": CATALOGUE},
        "at_a_time": 2,
    }
    path = site.folder / "schedules.yaml"
    path.write_text(yaml.safe_dump({"experiment": SCHEDULES, "schedules": {NAME: schedule}}, sort_keys=False))
    return str(path)


def settings() -> dict[str, Any]:
    """Of runs.LENIENT, as a tree."""
    tree: dict[str, Any] = {"profile": "smoke", "train": {"epochs": 1}}
    for one in runs.LENIENT:
        section, key, value = re.fullmatch(r"(\w+)\.(\w+)=(\S+)", one).groups()
        tree.setdefault(section, {})[key] = float(value)
    return tree


def pinclip(site: Site, *words: str) -> None:
    told = program([runs.PINCLIP, "schedule", words[0], *words[1:], "--file", file(site)], seconds=180)
    site.clock.tell(told.strip().replace("\n", "; "))


def both(site: Site, experiment: str, known: set[str]) -> tuple[str, str]:
    """The ids of the first two runs that the schedule starts; `known` are those of earlier calls."""
    kfp = server(site)
    told: set[str] = set()

    def two() -> list[Any] | None:
        new = [run for run in all_runs(kfp, experiment) if run.run_id not in known]
        for run in new:
            if run.run_id not in told:
                told.add(run.run_id)
                site.clock.tell(f"the schedule fired: run {run.run_id} ({run.display_name})")
        return sorted(new, key=lambda run: str(run.created_at))[:2] if len(new) >= 2 else None

    found = site.clock.until(
        two, MINUTES * 120 + 180, "The schedule did not fire twice", lambda: standing(kfp, experiment)
    )
    return found[0].run_id, found[1].run_id


def all_runs(kfp: Any, experiment: str) -> list[Any]:
    return list(kfp.every(kfp.client.list_runs, "runs", experiment_id=experiment, namespace=kfp.namespace or None))


def standing(kfp: Any, experiment: str) -> list[str]:
    rows = recurring(kfp, experiment)
    return [f"{one.display_name}: {one.status}, as {one.service_account}, {one.error or 'no error'}" for one in rows]


def recurring(kfp: Any, experiment: str) -> list[Any]:
    return list(kfp.every(kfp.client.list_recurring_runs, "recurring_runs", experiment_id=experiment))


def versions(site: Site) -> list[dict[str, Any]]:
    """The versions in MLflow with their tags, the oldest first; none before the first registration."""
    return sorted(told(site, "VERSION"), key=lambda one: int(one["version"]))


def aliases(site: Site) -> dict[str, int]:
    return {one["alias"]: one["version"] for one in told(site, "ALIAS")}


def told(site: Site, mark: str) -> list[dict[str, Any]]:
    pod = jobs.of_step(profile.read(site), "training", "register")
    text = jobs.run(site, "e2e-versions", ["python", "-c", VERSIONS], 300, pod)
    return [json.loads(line.partition(f"{mark} ")[2]) for line in text.splitlines() if line.startswith(f"{mark} ")]
