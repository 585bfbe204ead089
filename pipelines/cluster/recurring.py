"""Prepares a pipeline for recurring runs: each run gets its own name and reads its data anew.

A schedule passes the same arguments every night. KFP writes the parameters of a pipeline of version 2 as JSON into
the root DAG and fills no time into them: `[[ScheduledTime]]` stays as it stands (backend/src/apiserver/template/
v2_template.go, ScheduledWorkflow; kubeflow/pipelines issue 12494). Seen on KFP 2.16.1: the second night trained nothing
and joined the first one's MLflow run. So whatever has to differ is no parameter:

- `run` is the name of the run's Workflow. KFP's driver puts it into a task's constant, where it is the whole constant
  (backend/src/v2/driver/resolve.go, `{{$.pipeline_job_resource_name}}`). KFP's retry of a run keeps the name
  (apiserver/resource/resource_manager.go, RetryRun).
- What reads the world outside is never answered from the cache. All behind it misses the cache too: its key holds the
  number of every input artifact, and a fresh artifact has a new one (backend/src/v2/metadata/converter.go,
  toRuntimeArtifact; backend/src/v2/cacheutils/cache.go, GenerateCacheKey).
"""

import functools
import inspect
from typing import Any

from kfp import dsl
from kfp.dsl.base_component import BaseComponent
from kfp.dsl.pipeline_context import Pipeline

RUN = "run"  # the parameter that names a run


def fresh(pipeline: Any, own_name: bool) -> BaseComponent:
    """A copy of the pipeline in which steps that read outside data are never cached.

    Args:
        own_name: KFP's name of the run takes the place of the parameter `run`, where there is one.
    """
    body = pipeline.pipeline_func
    signature = inspect.signature(body)
    named = {RUN: dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER} if own_name and RUN in signature.parameters else {}
    left = signature.replace(parameters=[one for name, one in signature.parameters.items() if name not in named])

    @functools.wraps(body)
    def anew(*arguments: Any, **more: Any) -> None:
        body(**left.bind(*arguments, **more).arguments, **named)
        for task in Pipeline.get_default_pipeline().tasks.values():
            if _reads_outside(task):
                task.set_caching_options(False)

    anew.__signature__ = left  # type: ignore[attr-defined]
    return dsl.pipeline(anew, name=pipeline.name, description=pipeline.description)


def _reads_outside(task: dsl.PipelineTask) -> bool:
    """Whether the task has no input from another step."""
    return not task.dependent_tasks and all(channel.task_name is None for channel in task.channel_inputs)
