"""`pinclip schedule`: recurring runs on the cluster, made to agree with deploy/schedules.yaml.

A recurring run cannot be changed, so one whose digest differs is made anew. The new one is there before the old one
goes: a refusal, or a kill between the two, leaves a schedule standing, and the next `apply` tidies up.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.errors import ConfigError
from pipelines.cluster.checks import check_profile
from pipelines.cluster.client import Cluster
from pipelines.cluster.profiles import read_profile
from pipelines.cluster.schedule_file import Wanted, read_schedules, wanted
from pipelines.lineage import CODE

SCHEDULES = CODE / "deploy" / "schedules.yaml"
MARK = "pinclip schedule, digest {digest}"  # opens the description of every recurring run made here
APPLY = {  # a change's verdict, before it is carried out
    "unchanged": "as in the file",
    "double removed": "stands twice, apply removes one",
    "removed": "not in the file, apply removes it",
    "made anew": "differs from the file; apply replaces it",
    "made": "apply makes it",
}
MARKED = re.compile(r"pinclip schedule, digest (\w+)")


@dataclass(frozen=True)
class Standing:
    """A recurring run on the server that `pinclip schedule` made."""

    id: str
    name: str
    digest: str
    paused: bool
    cron: str
    account: str  # that its runs will really have


@dataclass(frozen=True)
class ScheduleChange:
    """What has to change for one name. `kept` is the recurring run that already agrees with the file."""

    name: str
    wanted: Wanted | None
    kept: Standing | None
    removed: tuple[Standing, ...]

    @property
    def verdict(self) -> str:
        if self.kept:
            return "double removed" if self.removed else "unchanged"
        if not self.wanted:
            return "removed"
        return "made anew" if self.removed else "made"


def plan(wishes: Iterable[Wanted], standing: Sequence[Standing]) -> list[ScheduleChange]:
    """The changes after which each wanted schedule exists exactly once, and no other does."""
    by_name = {wish.name: wish for wish in wishes}
    changes = []
    for name in sorted({*by_name, *(one.name for one in standing)}):
        wish = by_name.get(name)
        there = [one for one in standing if one.name == name]
        kept = next((one for one in there if wish and one.digest == wish.digest), None)
        changes.append(ScheduleChange(name, wish, kept, tuple(one for one in there if one is not kept)))
    return changes


class RecurringRuns:
    """The recurring runs of one experiment."""

    def __init__(self, cluster: Cluster, experiment: str) -> None:
        self.cluster, self.experiment_id = cluster, cluster.experiment(experiment)

    def standing(self) -> list[Standing]:
        """The recurring runs that `pinclip schedule` made, the oldest first."""
        listing = self.cluster.client.list_recurring_runs
        rows = self.cluster.every(listing, "recurring_runs", experiment_id=self.experiment_id, sort_by="created_at")
        return [one for row in rows if (one := _standing(row))]

    def carry_out(self, change: ScheduleChange) -> str:
        """Returns the account that the runs will have, as KFP reports it; "" where no recurring run is left."""
        made = None
        if change.wanted and not change.kept:
            made = self._create(change.wanted, paused=any(one.paused for one in change.removed))
        for one in change.removed:
            self.delete(one)
        kept = change.kept.account if change.kept else ""
        return str(made.service_account or "") if made else kept

    def delete(self, one: Standing) -> None:
        """Deletes with ORPHAN, so that a running run goes on; kfp.Client has no such option, and by default the server
        would end the run."""
        delete = self.cluster.client.recurring_runs.recurring_run_service_delete_recurring_run
        self.cluster.call(delete, one.id, propagation_policy="ORPHAN")

    def pause(self, one: Standing, paused: bool) -> None:
        client = self.cluster.client
        self.cluster.call(client.disable_recurring_run if paused else client.enable_recurring_run, one.id)

    def _create(self, wish: Wanted, paused: bool) -> Any:
        pipeline_id, version_id = self.cluster.upload(wish.package)
        return self.cluster.call(
            self.cluster.client.create_recurring_run,
            self.experiment_id,
            wish.name,
            description=MARK.format(digest=wish.digest),
            cron_expression=wish.schedule.cron,
            max_concurrency=wish.schedule.at_a_time,
            no_catchup=not wish.schedule.catch_up,
            params=dict(wish.arguments),
            pipeline_id=pipeline_id,
            version_id=version_id,
            enabled=not paused,
            service_account=wish.service_account,
        )


def _standing(row: Any) -> Standing | None:
    mark = MARKED.match(row.description or "")
    if not mark:
        return None
    cron = row.trigger.cron_schedule.cron if row.trigger and row.trigger.cron_schedule else ""
    account = str(row.service_account or "")
    return Standing(row.recurring_run_id, row.display_name, mark[1], row.mode == "DISABLE", cron, account)


def other_account(change: ScheduleChange, account: str) -> str:
    """A sentence where the runs of a schedule will have another account than its profile names; else ""."""
    asked = change.wanted.service_account if change.wanted else None
    if not asked or account in ("", asked):
        return ""
    # KFP <= 2.16.1 takes its own default in the place of what it is asked for (v2_template.go, ScheduledWorkflow).
    return (
        f"KFP will run it as {account}, not as {asked}; give {account} the Roles of {asked} too, or use KFP 2.17 "
        f"or newer. `pinclip doctor --cluster` says what {account} may do."
    )


def changes(host: str | None, file: Path) -> tuple[RecurringRuns, list[ScheduleChange]]:
    """What `apply` has to do. Raises ConfigError for the file and ClusterError for the server."""
    schedules = read_schedules(file)
    wishes = [wanted(name, schedule) for name, schedule in schedules.schedules.items()]
    recurring = RecurringRuns(Cluster(host), schedules.experiment)
    return recurring, plan(wishes, recurring.standing())


def lacking(recurring: RecurringRuns, planned: Iterable[ScheduleChange]) -> list[str]:
    """What will fail with the schedules after `apply`; raises ClusterError for what is missing on the cluster."""
    said: dict[str, None] = {}  # each once
    for change in planned:
        if change.wanted:
            schedule = change.wanted.schedule
            profile = read_profile(schedule.deploy_profile)
            cluster = recurring.cluster
            said |= dict.fromkeys(check_profile(profile, [schedule.pipeline], cluster.namespace, cluster.version))
    return list(said)


def overview(host: str | None, file: Path) -> list[str]:
    """A line for every schedule: its name, when, whether it is paused, its runs' account, what `apply` would do."""
    recurring, planned = changes(host, file)
    says = {change.name: APPLY[change.verdict] for change in planned}
    standing = recurring.standing()
    missing = [f"{name}  not on the cluster  ({says[name]})" for name in sorted({*says} - {s.name for s in standing})]
    return missing + [
        f"{one.name}  {one.cron}  {'paused' if one.paused else 'on'}  as {one.account}  ({says[one.name]})"
        for one in standing
    ]


def find_recurring_runs(host: str | None, file: Path, name: str) -> tuple[RecurringRuns, list[Standing]]:
    """All recurring runs on the server that have the name.

    Raises:
        ConfigError: there is none.
    """
    recurring = RecurringRuns(Cluster(host), read_schedules(file).experiment)
    standing = recurring.standing()
    found = [one for one in standing if one.name == name]
    if not found:
        there = ", ".join(sorted({one.name for one in standing})) or "none"
        raise ConfigError(f"{recurring.cluster.host} has no schedule {name}; there is {there}.")
    return recurring, found
