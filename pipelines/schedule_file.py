"""deploy/schedules.yaml: what runs when, as a person writes it and as a recurring run of KFP takes it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from components.pods import Name, Part
from model.errors import ConfigError
from pipelines.checked_yaml import read
from pipelines.configuration import from_tree
from pipelines.lineage import unread_lineage
from pipelines.packages import Package, package
from pipelines.profiles import read_profile

# KFP writes the scheduled time here, as 20261123020000; it does so in runs of an uploaded pipeline version only.
SCHEDULED = "[[ScheduledTime]]"


def _six_fields(cron: str) -> str:
    if len(cron.split()) != 6:
        raise ValueError('a schedule has six fields, seconds first, e.g. "0 30 2 * * *" for half past two')
    return " ".join(cron.split())


class Schedule(Part):
    pipeline: str  # a name of pipelines/packages.py
    cron: Annotated[str, AfterValidator(_six_fields)]
    deploy_profile: str = "cluster"
    settings: dict[str, Any] = Field(default_factory=dict)  # as in params.yaml: a profile, and what differs from it
    arguments: dict[str, Any] = Field(default_factory=dict)  # of the pipeline; config, run and lineage are filled in
    catch_up: bool = False  # make up for what was missed while paused
    at_a_time: int = Field(default=1, ge=1, le=10)  # runs


class Schedules(Part):
    experiment: Name  # of KFP
    schedules: dict[Name, Schedule]


@dataclass(frozen=True)
class Wanted:
    """A schedule ready for the server."""

    name: str
    schedule: Schedule
    package: Package
    arguments: Mapping[str, Any]
    service_account: str | None
    kind: str = "schedule"  # or backfill
    start: str | None = None  # RFC 3339, of a backfill
    end: str | None = None

    @property
    def digest(self) -> str:
        """Of all that the server is told: where it differs, the recurring run is made anew."""
        told = [self.package.version, self.schedule.cron, self.schedule.catch_up, self.schedule.at_a_time]
        rest = [dict(self.arguments), self.service_account, self.start, self.end]
        return hashlib.sha256(json.dumps([*told, *rest], sort_keys=True).encode()).hexdigest()[:12]


def read_schedules(path: Path) -> Schedules:
    """Raises ConfigError for a file that cannot be read or does not fit."""
    return read(Schedules, path)


def wanted(name: str, schedule: Schedule) -> Wanted:
    """Compiles the schedule's pipeline under its profile and fills in its arguments.

    Raises:
        ConfigError: the profile, the pipeline, a setting or an argument does not exist, or an argument is missing.
    """
    profile = read_profile(schedule.deploy_profile)
    built = package(schedule.pipeline, from_tree(schedule.settings), profile)
    catalogue = str(schedule.arguments.get("catalogue", ""))
    # The same night again, by a backfill say, is the same run in MLflow.
    known = {"run": f"{name}-{SCHEDULED}", "lineage": unread_lineage(catalogue, f"{name}-{SCHEDULED}")}
    arguments = {key: value for key, value in known.items() if key in built.inputs} | schedule.arguments
    for key in sorted(set(arguments) - set(built.inputs)):
        raise ConfigError(
            f"The schedule {name} has the argument {key}, but {built.name} takes {', '.join(built.inputs)}."
        )
    for key in sorted(set(built.required) - set(arguments)):
        raise ConfigError(f"The schedule {name} lacks {built.name}'s argument {key}; add it to its arguments.")
    return Wanted(name, schedule, built, arguments, profile.service_account)
