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

from components.kubernetes_types import (
    Cpu,
    Duration,
    Folder,
    Gpu,
    KubernetesName,
    Memory,
    Secret,
    StrictModel,
    Toleration,
)
from model.errors import ConfigError

VARIABLE = "PINCLIP_RAYJOB"
# Below these Ray does not get up: a head of 300m CPU is killed by its liveness probe at every start.
LEAST_CPU = "500m"
# Measured, anonymous and shared memory: a head of Ray 2.60 with its dashboard holds 643 MiB (19 processes) before it
# does anything; what the training imports is 241 MiB more for the driver on the head, and for each worker.
LEAST_HEAD, LEAST_WORKER = "1536Mi", "1Gi"
LEAST_SHARED = "128Mi"  # of which 90 % are the object store; Ray refuses one of less than 75 MiB


class RayNode(StrictModel):
    """A pod of the Ray cluster. It gets what it asks for, no less and no more: Ray counts by it.

    Where a node has not that many to set aside, `cpu_request` asks for less, and the pod uses `cpu` of them when they
    idle. Ray counts by the limit first (KubeRay 1.6.2, ray-operator/controllers/ray/common/pod.go, num-cpus).
    """

    cpu: Cpu
    cpu_request: Cpu | None = None  # what the scheduler and Kueue set aside; left out: cpu
    memory: Memory
    storage: Memory = "10Gi"  # /tmp: Ray's logs and what it spills
    shared_memory: Memory | None = None  # /dev/shm: Ray's object store; of `memory`, and a quarter of it if left out
    gpu: Gpu | None = None
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()

    @property
    def shared_bytes(self) -> int:
        return int(quantity_value(self.shared_memory) if self.shared_memory else quantity_value(self.memory) / 4)

    @model_validator(mode="after")
    def _ray_gets_up(self) -> "RayNode":
        _require("cpu", self.cpu, LEAST_CPU)
        if self.cpu_request and quantity_value(self.cpu_request) > quantity_value(self.cpu):
            raise ValueError(f"cpu_request {self.cpu_request} is more than cpu {self.cpu}; ask for cpu at most")
        if self.shared_memory:
            _require("shared_memory", self.shared_memory, LEAST_SHARED)
        if self.shared_bytes > quantity_value(self.memory) / 2:
            raise ValueError(
                f"shared_memory {self.shared_memory} is more than half of memory {self.memory}, against which it "
                "counts; give memory more or shared_memory less"
            )
        return self


class RayJob(StrictModel):
    image: str | None = None  # the profile's, when left out
    image_pull_secrets: tuple[KubernetesName, ...] = ()
    service_account: KubernetesName | None = None
    queue: KubernetesName | None = None  # Kueue's LocalQueue: all pods start together, when there is room for all
    # a ReadWriteMany volume that step and Ray pods see at `path`; the training works in <path>/rayjobs
    claim: KubernetesName
    path: Folder
    timeout: Duration = "24h"  # of one try, without the time in the queue
    retries: int = Field(default=1, ge=0)  # with a new Ray cluster, from the last snapshot
    head: RayNode
    workers: RayNode
    env: dict[str, str] = Field(default_factory=dict)
    secrets: tuple[Secret, ...] = ()

    @model_validator(mode="after")
    def _head_learns_nothing(self) -> "RayJob":
        if self.head.gpu:
            raise ValueError("no training runs on the head; give the gpu to workers")
        _require("head.memory", self.head.memory, LEAST_HEAD)
        _require("workers.memory", self.workers.memory, LEAST_WORKER)
        return self


def quantity_value(quantity: str) -> float:
    """Of a Cpu or a Memory: "500m" -> 0.5, "2Gi" -> 2147483648."""
    number = quantity.rstrip("mKMGTPEi")
    unit = quantity[len(number) :]
    if unit == "m":
        return float(number) / 1000
    power = " KMGTPE".index(unit[0]) if unit else 0
    return float(number) * (1024 if unit.endswith("i") else 1000) ** power


def _require(key: str, given: str, least: str) -> None:
    if quantity_value(given) < quantity_value(least):
        raise ValueError(f"{key} is {given}, and Ray does not get up with less than {least}; give it more")


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
