"""What a deploy profile says of a training on Ray: the key `ray` of a step, handed to it as PINCLIP_RAYJOB.

    ray:
      queue: pinclip
      claim: pinclip-data
      path: /data
      head: {cpu: 2, memory: 8Gi}
      workers: {cpu: 8, memory: 48Gi, gpu: {count: 1}}

How many worker pods there are follows from the model's settings: one for every Ray Train worker (train.workers), or as
many workers in a pod as it has GPUs.
"""

import os

from pydantic import Field, ValidationError, model_validator

from components.pods import Cpu, Duration, Folder, Gpu, Memory, Name, Part, Secret, Toleration
from model.errors import ConfigError

VARIABLE = "PINCLIP_RAYJOB"


class Node(Part):
    """A pod of the Ray cluster. It gets what it asks for, no less and no more: Ray counts by it."""

    cpu: Cpu
    memory: Memory
    storage: Memory = "10Gi"  # /tmp: Ray's logs and what it spills
    shared_memory: Memory = "2Gi"  # /dev/shm: Ray's object store; counted against `memory`
    gpu: Gpu | None = None
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()


class RayJob(Part):
    image: str | None = None  # the profile's, when left out
    service_account: Name | None = None
    queue: Name | None = None  # Kueue's LocalQueue: all pods start together, when there is room for all
    claim: Name  # a ReadWriteMany volume that step and Ray pods see at `path`; the training works in <path>/rayjobs
    path: Folder
    timeout: Duration = "24h"  # of one try, without the time in the queue
    retries: int = Field(default=1, ge=0)  # with a new Ray cluster, from the last snapshot
    head: Node
    workers: Node
    env: dict[str, str] = Field(default_factory=dict)
    secrets: tuple[Secret, ...] = ()

    @model_validator(mode="after")
    def _head_learns_nothing(self) -> "RayJob":
        if self.head.gpu:
            raise ValueError("no training runs on the head; give the gpu to workers")
        return self


def is_asked() -> bool:
    """Whether the deploy profile wants this step's training in a RayJob."""
    return bool(os.environ.get(VARIABLE))


def asked() -> RayJob:
    """Raises ConfigError where the variable holds something else."""
    try:
        return RayJob.model_validate_json(os.environ[VARIABLE])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its top"
        raise ConfigError(
            f"{VARIABLE} does not fit at {where} ({first['msg']}); compile the pipeline anew with this version."
        ) from None
