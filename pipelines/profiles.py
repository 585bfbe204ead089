"""Deploy profiles: what each step asks of a cluster. deploy/profiles/local.yaml asks for nothing.

A profile sets nothing that changes a result: the model's settings are in model/config/. Kubernetes' own words are
kept (requests, limits, tolerations); times are written 90s, 15m or 2h.
"""

from pathlib import Path

from pydantic import Field, model_validator

from components.pods import Cpu, Duration, Folder, Gpu, Memory, Name, Part, Secret, Toleration
from components.rayjob.settings import RayJob
from model.errors import ConfigError
from pipelines.checked_yaml import read
from pipelines.lineage import CODE

PROFILES = CODE / "deploy" / "profiles"


class Resources(Part):
    cpu: Cpu | None = None
    memory: Memory | None = None


class Retries(Part):
    count: int = Field(ge=0)
    wait: Duration = "0s"  # before the first; each further one waits `factor` times as long, `longest` at most
    factor: float = Field(default=2.0, ge=1)
    longest: Duration = "1h"


class Volume(Part):
    """A PersistentVolumeClaim, or scratch space that lives as long as the pod."""

    path: Folder
    claim: Name | None = None
    sub_path: str = ""  # of the claim
    scratch: Memory | None = None  # its greatest size
    memory: bool = False  # scratch in memory, counted against the step's limit

    @model_validator(mode="after")
    def _one_kind(self) -> "Volume":
        if (self.claim is None) == (self.scratch is None):
            raise ValueError("a volume needs either claim or scratch")
        return self


class Step(Part):
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


class Profile(Part):
    image: str | None = None  # in place of components/image.py
    service_account: Name | None = None
    defaults: Step = Step()
    # pipeline -> step -> keys that take the place of the defaults'
    pipelines: dict[str, dict[str, Step]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _rayjobs_fit(self) -> "Profile":
        if self.defaults.ray:
            raise ValueError("ray belongs to the steps that train, not to the defaults")
        for pipeline, steps in self.pipelines.items():
            for name in steps:
                self._check_ray(f"{pipeline}.{name}", self.step(pipeline, name))
        return self

    def _check_ray(self, place: str, step: Step) -> None:
        """Raises ValueError, which pydantic tells."""
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


def read_profile(name: str) -> Profile:
    """A profile of deploy/profiles by its name, or any YAML file by its path.

    Raises:
        ConfigError: there is no such profile, or it holds what a profile does not.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else PROFILES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in PROFILES.glob("*.yaml")))
        raise ConfigError(f"There is no deploy profile {name}; choose one of {known}, or name a YAML file.")
    return read(Profile, path)
