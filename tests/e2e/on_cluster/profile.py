"""Deploy profiles for the runs of this command: deploy/profiles/lab.yaml with the image under test, and less of a part
that the cluster does not have."""

import copy
from pathlib import Path
from typing import Any

import yaml

from pipelines.cluster.profiles import PROFILES, DeployProfile, read_profile
from tests.e2e.on_cluster.cluster_clients import Site

LAB = PROFILES / "lab.yaml"


def write(site: Site, name: str = "lab", once: bool = False, worker: dict[str, Any] | None = None) -> Path:
    """A profile file.

    Args:
        once: nothing is tried a second time, so that what fails is told at the first.
        worker: keys of the Ray worker that differ, e.g. {"memory": "1500Mi"}.
    """
    tree = copy.deepcopy(yaml.safe_load(LAB.read_text(encoding="utf-8")))
    tree["image"] = site.image
    steps = [
        tree.get("defaults", {}),
        *(step for steps in tree.get("pipelines", {}).values() for step in steps.values()),
    ]
    for step in steps:
        if once:
            step["retries"] = {"count": 0}
        if "ray" in step:
            _change_ray(step, site, once, worker or {})
    path = site.folder / f"profile-{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return path


def read(site: Site) -> DeployProfile:
    return read_profile(str(write(site)))


def _change_ray(step: dict[str, Any], site: Site, once: bool, worker: dict[str, Any]) -> None:
    if "KubeRay" not in site.parts:  # the training runs in the step's own pod
        del step["ray"]
        return
    if "Kueue" not in site.parts:
        step["ray"].pop("queue", None)
    if once:
        step["ray"]["retries"] = 0
    step["ray"]["workers"] = step["ray"]["workers"] | worker
