"""Deploy profiles: what each step asks of a cluster. deploy/profiles/local.yaml asks for nothing.

A profile sets nothing that changes a result: the model's settings are in model/config.py. Kubernetes' own words are
kept (requests, limits, tolerations); times are written 90s, 15m or 2h.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from model.errors import ConfigError
from pipelines.checked_yaml import Duration, Name, Part, read
from pipelines.lineage import CODE

PROFILES = CODE / "deploy" / "profiles"

Folder = Annotated[str, Field(pattern=r"^/")]
# As KFP takes them; it knows no "k".
Cpu = Annotated[str, Field(pattern=r"^([0-9]*\.)?[0-9]+m?$")]
Memory = Annotated[str, Field(pattern=r"^[0-9]+([KMGTPE]i?)?$")]


class Resources(Part):
    cpu: Cpu | None = None
    memory: Memory | None = None


class Retries(Part):
    count: int = Field(ge=0)
    wait: Duration = "0s"  # before the first; each further one waits `factor` times as long, `longest` at most
    factor: float = Field(default=2.0, ge=1)
    longest: Duration = "1h"


class Gpu(Part):
    count: int = Field(ge=1)
    type: str = "nvidia.com/gpu"


class Toleration(Part):
    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None


class Secret(Part):
    """A Kubernetes Secret by its name, never its content: keys as environment variables, or all as files."""

    name: Name
    env: dict[str, str] | None = None  # the Secret's key -> variable
    path: Folder | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Secret":
        if (self.env is None) == (self.path is None):
            raise ValueError("a secret needs either env or path")
        return self


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


class Profile(Part):
    image: str | None = None  # in place of components/image.py
    service_account: Name | None = None
    defaults: Step = Step()
    # pipeline -> step -> keys that take the place of the defaults'
    pipelines: dict[str, dict[str, Step]] = Field(default_factory=dict)

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
