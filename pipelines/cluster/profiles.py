"""Deploy profiles: what each step asks of a cluster. deploy/profiles/local.yaml asks for nothing.

A profile sets nothing that changes a result: the model's settings are in model/config/. Kubernetes' own words are
kept (requests, limits, tolerations); times are written 90s, 15m or 2h.
"""

from pathlib import Path

from pydantic import Field, model_validator

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
    duration_seconds,
)
from components.ray.rayjob.settings import RayJob
from components.retries import RetrySchedule
from model.errors import ConfigError
from pipelines.cluster.checked_yaml import read_checked
from pipelines.lineage import CODE

PROFILES = CODE / "deploy" / "profiles"
UNBOUNDED = 10 * 365 * 24 * 3600  # seconds; Go's durations end at 292 years


class Resources(StrictModel):
    cpu: Cpu | None = None
    memory: Memory | None = None


class Retries(RetrySchedule):
    """Retries of a failed step by Argo, and inside the step while a server does not answer."""

    total: Duration | None = None  # from the first try's start to the last one's end; left out: time for all of them

    def longest(self, timeout: str | None) -> int:
        """Argo's backoff.maxDuration: after it no try is started, and the one at work is ended.

        It counts from the first try's start, so it is time for every try and for the waits between them.
        """
        if self.total:
            return duration_seconds(self.total)
        if timeout is None:
            return UNBOUNDED
        return min((self.count + 1) * duration_seconds(timeout) + sum(self.pauses()), UNBOUNDED)


class Volume(StrictModel):
    """A PersistentVolumeClaim, or scratch space that lives as long as the pod."""

    path: Folder
    claim: KubernetesName | None = None
    sub_path: str = ""  # of the claim
    scratch: Memory | None = None  # its greatest size
    memory: bool = False  # scratch in memory, counted against the step's limit

    @model_validator(mode="after")
    def _one_kind(self) -> "Volume":
        if (self.claim is None) == (self.scratch is None):
            raise ValueError("a volume needs either claim or scratch")
        return self


class Step(StrictModel):
    requests: Resources = Resources()
    limits: Resources = Resources()
    retries: Retries | None = None
    timeout: Duration | None = None  # of one try
    gpu: Gpu | None = None
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    secrets: tuple[Secret, ...] = ()
    volumes: tuple[Volume, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)  # plain values; what nobody may read comes from `secrets`
    ray: RayJob | None = None  # of a step that trains: it does so on a Ray cluster of its own


class DeployProfile(StrictModel):
    image: str | None = None  # in place of components/container_image.py
    service_account: KubernetesName | None = None
    defaults: Step = Step()
    # pipeline -> step -> keys that take the place of the defaults'
    pipelines: dict[str, dict[str, Step]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _steps_fit(self) -> "DeployProfile":
        if self.defaults.ray:
            raise ValueError("ray belongs to the steps that train, not to the defaults")
        _check_retries("defaults", self.defaults)
        for pipeline, steps in self.pipelines.items():
            for name in steps:
                step = self.step(pipeline, name)
                _check_retries(f"{pipeline}.{name}", step)
                self._check_ray(f"{pipeline}.{name}", step)
        return self

    def _check_ray(self, place: str, step: Step) -> None:
        """Raises ValueError, which pydantic reports."""
        if step.ray is None:
            return
        if not (step.ray.image or self.image):
            raise ValueError(f"{place}.ray has no image; name one there or for the whole profile")
        if step.gpu:
            raise ValueError(f"{place} only follows its RayJob; move its gpu to ray.workers")
        if not any(one.claim == step.ray.claim and one.path == step.ray.path for one in step.volumes):
            raise ValueError(f"{place} needs the claim {step.ray.claim} at {step.ray.path} too, as its ray does")

    def step(self, pipeline: str, name: str) -> Step:
        own = self.pipelines.get(pipeline, {}).get(name, Step())
        return self.defaults.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})


def _check_retries(place: str, step: Step) -> None:
    """Raises ValueError where `total` ends before a second try can begin."""
    if not (step.retries and step.retries.total and step.retries.count):
        return
    needed = duration_seconds(step.timeout or "0s") + duration_seconds(step.retries.wait)
    if duration_seconds(step.retries.total) <= needed:
        raise ValueError(
            f"{place} would never be tried again: retries.total ({step.retries.total}) counts from the first try's "
            f"start, and one timeout and the wait take {needed} s; leave total out"
        )


def read_profile(name: str) -> DeployProfile:
    """A profile of deploy/profiles by its name, or any YAML file by its path.

    Raises:
        ConfigError: there is no such profile, or it holds what a profile does not.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in PROFILES.glob("*.yaml")))
        raise ConfigError(f"There is no deploy profile {name}; choose one of {known}, or name a YAML file.")
    return read_checked(DeployProfile, path)
