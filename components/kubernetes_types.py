"""What a pod may request of a cluster, in Kubernetes' terms: types for deploy profiles and RayJobs.

Read strictly: pipelines/cluster/checked_yaml.py tells the first thing that does not fit in one sentence.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

UNITS = {"s": 1, "m": 60, "h": 3600}  # seconds

KubernetesName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]  # as Kubernetes takes them
Duration = Annotated[str, Field(pattern=r"^[0-9]+[smh]$")]
Folder = Annotated[str, Field(pattern=r"^/")]
# As KFP takes them; it knows no "k".
Cpu = Annotated[str, Field(pattern=r"^([0-9]*\.)?[0-9]+m?$")]
Memory = Annotated[str, Field(pattern=r"^[0-9]+([KMGTPE]i?)?$")]


class StrictModel(BaseModel):
    """A mapping of such a file; an unknown key is a mistake, and 2 reads as "2" where text is meant."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Gpu(StrictModel):
    count: int = Field(ge=1)
    type: str = "nvidia.com/gpu"


class Toleration(StrictModel):
    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoExecute", "NoSchedule", "PreferNoSchedule"] | None = None


class Secret(StrictModel):
    """A Kubernetes Secret by its name, never its content: keys as environment variables, or all as files."""

    name: KubernetesName
    env: dict[str, str] | None = None  # the Secret's key -> variable
    path: Folder | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Secret":
        if (self.env is None) == (self.path is None):
            raise ValueError("a secret needs either env or path")
        return self


def duration_seconds(duration: str) -> int:
    """Of a Duration: "15m" -> 900."""
    return int(duration[:-1]) * UNITS[duration[-1]]
