"""Applies a deploy profile to the tasks of a pipeline, with kfp-kubernetes."""

import functools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kfp import dsl, kubernetes
from kfp.dsl.base_component import BaseComponent
from kfp.dsl.pipeline_context import Pipeline
from kfp.dsl.structures import RetryPolicy
from kubernetes.utils.quantity import parse_quantity

from components.kubernetes_types import Secret, duration_seconds
from components.ray.rayjob.settings import VARIABLE
from components.retries import VARIABLE as RETRIES
from model.errors import ConfigError
from pipelines.cluster.profiles import DeployProfile, Step, Volume


class _Retry(RetryPolicy):
    """What set_retry() makes, without its limit of an hour from the first try's start (kfp/dsl/structures.py)."""

    def to_proto(self) -> Any:
        proto = super().to_proto()
        proto.backoff_max_duration.FromSeconds(int(str(self.backoff_max_duration).rstrip("s")))
        return proto


def placed(pipeline: Any, name: str, profile: DeployProfile) -> BaseComponent:
    """The pipeline traced anew, every task with what the profile says of it; the pipeline given stays as it is.

    Args:
        pipeline: what @dsl.pipeline made.
        name: the pipeline's, as the profile calls it.

    Raises:
        ConfigError: the profile names a step that the pipeline does not have.
    """
    body = pipeline.pipeline_func

    @functools.wraps(body)
    def with_profile(*arguments: Any, **named: Any) -> None:
        body(*arguments, **named)
        tasks = {_shown(key, task): task for key, task in Pipeline.get_default_pipeline().tasks.items()}
        for step in set(profile.pipelines.get(name, {})) - set(tasks):
            raise ConfigError(
                f"The deploy profile has {name}.{step}, but the steps are {', '.join(tasks)}; correct it."
            )
        for step, task in tasks.items():
            _place(task, profile.step(name, step), profile.image)

    trace = functools.partial(dsl.pipeline, with_profile, name=pipeline.name, description=pipeline.description)
    with ThreadPoolExecutor(max_workers=1) as thread:  # for each setting KFP reads the source of all calling frames
        component: BaseComponent = thread.submit(trace).result()
    return component


def _shown(key: str, task: dsl.PipelineTask) -> str:
    """A step's name as people see it: train-baseline, where KFP calls the second use of `train` train-2."""
    return str(task._task_spec.display_name or key)


def _place(task: dsl.PipelineTask, step: Step, image: str | None) -> None:
    if image:
        task.set_container_image(image)
    _compute(task, step)
    _schedule(task, step)
    for variable, value in step.env.items():
        task.set_env_variable(variable, value)
    if step.ray:
        ray = step.ray.model_copy(update={"image": step.ray.image or image})
        task.set_env_variable(VARIABLE, ray.model_dump_json(exclude_defaults=True))
    for secret in step.secrets:
        _secret(task, secret)
    for volume in step.volumes:
        _volume(task, volume)


def _compute(task: dsl.PipelineTask, step: Step) -> None:
    amounts = {
        task.set_cpu_request: step.requests.cpu,
        task.set_memory_request: step.requests.memory,
        task.set_cpu_limit: step.limits.cpu,
        task.set_memory_limit: step.limits.memory,
    }
    for put, amount in amounts.items():
        if amount:
            put(amount)
    if step.limits.cpu:  # torch and numpy would start a thread for every core of the node, and all be throttled
        task.set_env_variable("OMP_NUM_THREADS", str(math.ceil(parse_quantity(step.limits.cpu))))
    if step.gpu:
        task.set_accelerator_type(step.gpu.type).set_accelerator_limit(step.gpu.count)


def _schedule(task: dsl.PipelineTask, step: Step) -> None:
    """Sets where the pod may run, for how long, and how often it is retried."""
    if step.retries:
        task._task_spec.retry_policy = _Retry(
            max_retry_count=step.retries.count,
            backoff_duration=f"{duration_seconds(step.retries.wait)}s",
            backoff_factor=float(step.retries.factor),
            backoff_max_duration=f"{step.retries.longest(step.timeout)}s",
        )
        task.set_env_variable(RETRIES, step.retries.model_dump_json(exclude={"total"}))
    if step.timeout:
        kubernetes.set_timeout(task, duration_seconds(step.timeout))
    for label, value in step.node_selector.items():
        kubernetes.add_node_selector(task, label, value)
    for toleration in step.tolerations:
        kubernetes.add_toleration(task, **toleration.model_dump(exclude_none=True))


def _secret(task: dsl.PipelineTask, secret: Secret) -> None:
    if secret.env is not None:
        kubernetes.use_secret_as_env(task, secret.name, secret.env)
    else:
        kubernetes.use_secret_as_volume(task, secret.name, secret.path)


def _volume(task: dsl.PipelineTask, volume: Volume) -> None:
    if volume.claim is not None:
        kubernetes.mount_pvc(task, volume.claim, volume.path, volume.sub_path)
    else:
        name = volume.path.strip("/").replace("/", "-") or "root"
        kubernetes.empty_dir_mount(task, name, volume.path, "Memory" if volume.memory else None, volume.scratch)
