"""components.ray.training.train in a RayJob: the step creates the RayJob, follows it and fetches the model.

The name of the RayJob is derived from the inputs and settings, so a step that is started again finds its RayJob.
"""

import hashlib
import importlib.metadata
import json
import math
import os
import re
from pathlib import Path
from typing import Any

from components import progress
from components.ray.rayjob import lifecycle
from components.ray.rayjob.api import Kubernetes
from components.ray.rayjob.heartbeat import sending_heartbeats
from components.ray.rayjob.manifest import manifest
from components.ray.rayjob.progress_log import ProgressReader
from components.ray.rayjob.settings import RayJob, asked, quantity_value
from components.ray.rayjob.shared_folder import SharedFolder, training_refusal
from components.ray.training import ReportStep, check_cpus, cpus_needed
from model.config import Config
from model.errors import ConfigError, TrainingError
from model.extraction.reading import kept_folders

COMMAND = ("python", "-m", "components.ray.rayjob.entrypoint")


def train(
    prepared: Path,
    neighbours: Path,
    out: Path,
    config: Config,
    report: ReportStep,
    snapshot: Path | None = None,
    extracted: Path | None = None,
    anchors: Path | None = None,
) -> dict[str, Any]:
    """As components.ray.training.train, in a RayJob as PINCLIP_RAYJOB describes it.

    Raises:
        ConfigError: the settings do not fit, the queue does not exist, or the snapshot or what is kept of frozen
            towers lies where the Ray pods do not see it.
        TrainingError: the pods are too small for the training, or the RayJob failed.
        ClusterError: the Kubernetes API refuses or does not answer.
        RunError: the volume cannot be written to.
        PinclipError: what components.ray.training.train raises.
    """
    settings = asked()
    volume = Path(settings.path)
    _check_on_volume(volume, "The snapshot", snapshot)
    for records in kept_folders(extracted):
        _check_on_volume(volume, "What is kept of frozen towers,", records)
    pods = pod_count(settings, config)
    step = progress.current_step() or "train"
    name = job_name(step, settings, config, (prepared, neighbours, snapshot, extracted))
    work, kubernetes, reader = SharedFolder(volume, name), Kubernetes(), ProgressReader(report)
    if work.outcome:  # the step was killed after its training had ended
        kubernetes.delete(name)
        return work.take(out)
    check_queue(kubernetes, settings)
    work.ask(prepared, neighbours, config, step, snapshot, pods + 1, extracted, anchors)
    command, ray_version = (*COMMAND, str(work.folder)), importlib.metadata.version("ray")
    pod = os.environ.get("KFP_POD_NAME")  # set by KFP in every step
    job = manifest(settings, name, command, pods, ray_version, kubernetes.workflow(pod) if pod else None)
    with sending_heartbeats(work.folder):
        try:
            lifecycle.complete(kubernetes, job, reader, lambda: work.outcome)
        except TrainingError:
            work.forget_outcome()
            raise
    if reader.refusal and not work.outcome:
        raise training_refusal(reader.refusal)
    return work.take(out)


def check_queue(kubernetes: Kubernetes, settings: RayJob) -> None:
    if settings.queue and kubernetes.has_queue(settings.queue) is False:
        raise ConfigError(
            f"There is no LocalQueue {settings.queue} in the namespace {kubernetes.namespace}, and the RayJob would "
            "wait for ever; make it (deploy/kustomize/queue), or take ray.queue out of the deploy profile."
        )


def pod_count(settings: RayJob, config: Config) -> int:
    """Worker pods: one a Ray Train worker, or as many workers in a pod as it has GPUs."""
    node = settings.workers
    pods = math.ceil(config.train.workers / (node.gpu.count if node.gpu else 1))
    check_cpus(cpus_needed(config), pods * math.ceil(quantity_value(node.cpu)))  # rounded as KubeRay does
    return pods


def job_name(step: str, settings: RayJob, config: Config, places: tuple[Path | None, ...]) -> str:
    """At most 47 characters, as KubeRay takes them."""
    told = json.dumps([settings.model_dump(), config.to_json(), step, *map(str, places)], sort_keys=True)
    short = re.sub(r"[^a-z0-9]+", "-", step.lower())[:20].strip("-")
    return f"pinclip-{short}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"


def _check_on_volume(volume: Path, what: str, path: Path | None) -> None:
    if path and not path.absolute().is_relative_to(volume):
        raise ConfigError(
            f"{what} {path} is not on {volume}, which is what the pods of the RayJob see; put PINCLIP_HOME there."
        )
