"""components.ray_training.train in a RayJob: the step asks, follows and takes the model back.

The name of the RayJob follows from all that the training is told, so a step that is started again finds its own.
"""

import hashlib
import importlib.metadata
import json
import math
import re
from pathlib import Path
from typing import Any

from components import progress
from components.ray_training import Report, check_cpus, cpus_needed
from components.rayjob import life
from components.rayjob.api import Kubernetes
from components.rayjob.manifest import manifest
from components.rayjob.settings import RayJob, asked
from components.rayjob.spoken import Ears
from components.rayjob.work import Work
from model.config import Config
from model.errors import ConfigError, TrainingError

COMMAND = ("python", "-m", "components.rayjob.remote")


def train(
    prepared: Path, neighbours: Path, out: Path, config: Config, report: Report, snapshot: Path | None = None
) -> dict[str, Any]:
    """As ray_training.train, by what PINCLIP_RAYJOB says.

    Raises:
        ConfigError: the settings do not fit, or the snapshot lies where the Ray pods do not see it.
        TrainingError: the pods are too small for the training, or the RayJob failed.
        ClusterError: the Kubernetes API refuses or does not answer.
        RunError: the volume cannot be written to.
        PinclipError: what ray_training.train raises.
    """
    settings = asked()
    volume = Path(settings.path)
    _check_snapshot(snapshot, volume)
    pods = _pods(settings, config)
    step = progress.current() or "train"
    name = _name(step, settings, config, (prepared, neighbours, snapshot))
    work, kubernetes = Work(volume, name), Kubernetes()
    if work.is_done:  # the step was killed after its training had ended
        kubernetes.delete(name)
    else:
        work.ask(prepared, neighbours, config, step, snapshot, pods + 1)
        ray_version = importlib.metadata.version("ray")
        job = manifest(settings, name, (*COMMAND, str(work.folder)), pods, ray_version)
        try:
            life.complete(kubernetes, job, Ears(report))
        except TrainingError:
            if not work.is_done:  # what the training left counts for more than what became of its pods
                raise
    return work.take(out)


def _pods(settings: RayJob, config: Config) -> int:
    """Worker pods: one a Ray Train worker, or as many workers in a pod as it has GPUs."""
    node = settings.workers
    pods = math.ceil(config.train.workers / (node.gpu.count if node.gpu else 1))
    cpus = math.ceil(float(node.cpu[:-1]) / 1000 if node.cpu.endswith("m") else float(node.cpu))  # as KubeRay counts
    check_cpus(cpus_needed(config), pods * cpus)
    return pods


def _name(step: str, settings: RayJob, config: Config, places: tuple[Path | None, ...]) -> str:
    """At most 47 characters, as KubeRay takes them."""
    told = json.dumps([settings.model_dump(), config.to_json(), step, *map(str, places)], sort_keys=True)
    short = re.sub(r"[^a-z0-9]+", "-", step.lower())[:20].strip("-")
    return f"pinclip-{short}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def _check_snapshot(snapshot: Path | None, volume: Path) -> None:
    if snapshot and not snapshot.absolute().is_relative_to(volume):
        raise ConfigError(
            f"The snapshot {snapshot} is not on {volume}, which is what the pods of the RayJob see; put PINCLIP_HOME "
            "there."
        )
