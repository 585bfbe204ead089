"""Reads deploy/schedules.yaml, which says what runs when, and turns each schedule into what a recurring run of KFP
needs."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from components.kubernetes_types import KubernetesName, StrictModel
from model.config import Config
from model.errors import ConfigError
from pipelines.cluster.checked_yaml import read_checked
from pipelines.cluster.compilation import Package, package
from pipelines.cluster.profiles import DeployProfile, read_profile
from pipelines.configuration import from_tree
from pipelines.lineage import unread_lineage

OFFLINE = "HF_HUB_OFFLINE"


def _six_fields(cron: str) -> str:
    if len(cron.split()) != 6:
        raise ValueError('a schedule has six fields, seconds first, e.g. "0 30 2 * * *" for half past two')
    try:
        CronSim(cron.replace("?", "*"), datetime(2026, 1, 1))
    except CronSimError as error:
        raise ValueError(f"this is no time ({error})") from None
    return " ".join(cron.split())


def _nothing_to_fill_in(arguments: dict[str, Any]) -> dict[str, Any]:
    if "[[" in json.dumps(arguments):
        raise ValueError(
            "KFP fills no time into the arguments of a scheduled pipeline, [[ScheduledTime]] would stay as it stands; "
            "a run has its own name, and `pinclip backfill --catalogue` takes a date in the path"
        )
    return arguments


class Schedule(StrictModel):
    pipeline: str  # a name of pipelines/cluster/compilation.py
    cron: Annotated[str, AfterValidator(_six_fields)]
    deploy_profile: str = "cluster"
    settings: dict[str, Any] = Field(default_factory=dict)  # as in params.yaml: a profile, and what differs from it
    # of the pipeline; config, run and lineage are filled in
    arguments: Annotated[dict[str, Any], AfterValidator(_nothing_to_fill_in)] = Field(default_factory=dict)
    catch_up: bool = False  # make up for what was missed while paused
    at_a_time: int = Field(default=1, ge=1, le=10)  # runs

    def times(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """When it would have run after `start` and until `end`, which is included."""
        for time in CronSim(self.cron.replace("?", "*"), start):
            if time > end:
                return
            yield time


class Schedules(StrictModel):
    experiment: KubernetesName  # of KFP
    schedules: dict[KubernetesName, Schedule]


@dataclass(frozen=True)
class Wanted:
    """A schedule ready for the server."""

    name: str
    schedule: Schedule
    package: Package
    arguments: Mapping[str, Any]
    service_account: str | None

    @property
    def digest(self) -> str:
        """The digest of all that the server gets: where it differs, the recurring run is made anew."""
        told = [self.package.version, self.schedule.cron, self.schedule.catch_up, self.schedule.at_a_time]
        rest = [dict(self.arguments), self.service_account]
        return hashlib.sha256(json.dumps([*told, *rest], sort_keys=True).encode()).hexdigest()[:12]


def read_schedules(path: Path) -> Schedules:
    """Raises ConfigError for a file that cannot be read or does not fit."""
    return read_checked(Schedules, path)


def wanted(name: str, schedule: Schedule) -> Wanted:
    """Compiles the schedule's pipeline under its profile, for a recurring run, and fills in its arguments.

    Raises:
        ConfigError: the profile, the pipeline, a setting or an argument does not exist, or an argument is missing.
    """
    profile = read_profile(schedule.deploy_profile)
    config = from_tree(schedule.settings)
    built = package(schedule.pipeline, config, profile, again=True, own_name=True)
    _check_weights(name, built, config, profile)
    return Wanted(name, schedule, built, _arguments(name, schedule, built, {}), profile.service_account)


def wanted_at(name: str, schedule: Schedule, times: Iterable[datetime], catalogue: str | None) -> list[Wanted]:
    """One run of a schedule for each time; it is named after the time and gets that name as `run`.

    Args:
        catalogue: takes the place of the schedule's; %Y, %m and %d in it become those of the time.

    Raises:
        ConfigError: as wanted().
    """
    profile, config = read_profile(schedule.deploy_profile), from_tree(schedule.settings)
    built = package(schedule.pipeline, config, profile, again=True)
    _check_weights(name, built, config, profile)
    runs = []
    for time in times:
        place = {"catalogue": time.strftime(catalogue)} if catalogue else {}
        then = schedule.model_copy(update={"arguments": schedule.arguments | place})
        run = f"{name}-{time:%Y%m%d%H%M%S}"
        runs.append(Wanted(run, then, built, _arguments(run, then, built, {"run": run}), profile.service_account))
    return runs


def _check_weights(name: str, built: Package, config: Config, profile: DeployProfile) -> None:
    """Raises ConfigError for pretrained towers that every run would download from the internet, if the network allows
    it at all.

    HF_HUB_OFFLINE: "0" in the profile's `defaults.env` allows it. A pipeline without the parameter `catalogue` trains
    nothing and is not checked.
    """
    if profile.defaults.env.get(OFFLINE) == "0" or "catalogue" not in built.inputs:
        return
    for section, weights in {"vision": config.vision.pretrained, "text": config.text.pretrained}.items():
        if weights and not weights.startswith("/"):
            raise ConfigError(
                f"The schedule {name} would fetch {weights} from the internet; put a copy on the volume and name "
                f"it in its settings, e.g. {section}: {{pretrained: /data/checkpoints/{weights.rpartition('/')[2]}}}."
            )


def _arguments(occasion: str, schedule: Schedule, built: Package, more: Mapping[str, Any]) -> dict[str, Any]:
    """Raises ConfigError for an argument that the pipeline does not take, and for one that it lacks."""
    catalogue = str(schedule.arguments.get("catalogue", ""))
    known = {"lineage": unread_lineage(catalogue, occasion), **more}
    arguments = {key: value for key, value in known.items() if key in built.inputs} | schedule.arguments
    for key in sorted(set(arguments) - set(built.inputs)):
        raise ConfigError(
            f"The schedule {occasion} has the argument {key}, but {built.name} takes {', '.join(built.inputs)}."
        )
    for key in sorted(set(built.required) - set(arguments)):
        raise ConfigError(f"The schedule {occasion} lacks {built.name}'s argument {key}; add it to its arguments.")
    return arguments
