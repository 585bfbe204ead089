"""`pinclip schedule` and `pinclip backfill`: recurring runs on the cluster, made to agree with deploy/schedules.yaml.

A recurring run cannot be changed, so one whose digest differs is made anew. The new one is there before the old one
goes: a refusal, or a kill between the two, leaves a schedule standing, and the next `apply` tidies up.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from model.errors import ConfigError
from pipelines.cluster import Cluster
from pipelines.lineage import CODE
from pipelines.schedule_file import Wanted, read_schedules, wanted

SCHEDULES = CODE / "deploy" / "schedules.yaml"
MARK = "pinclip {kind}, digest {digest}"  # opens the description of every recurring run made here
APPLY = {  # a change's verdict, before it is carried out
    "unchanged": "as in the file",
    "double removed": "stands twice, apply removes one",
    "removed": "not in the file, apply removes it",
    "made anew": "differs from the file, apply makes it anew",
    "made": "apply makes it",
}
MARKED = re.compile(r"pinclip (schedule|backfill), digest (\w+)")


@dataclass(frozen=True)
class Standing:
    """A recurring run on the server that was made here."""

    id: str
    name: str
    kind: str
    digest: str
    paused: bool
    cron: str


@dataclass(frozen=True)
class Change:
    """What one name needs. `kept` is the recurring run that is right already."""

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


def plan(wishes: Iterable[Wanted], standing: Sequence[Standing]) -> list[Change]:
    """What to do so that every wish stands exactly once, and nothing else."""
    by_name = {wish.name: wish for wish in wishes}
    changes = []
    for name in sorted({*by_name, *(one.name for one in standing)}):
        wish = by_name.get(name)
        there = [one for one in standing if one.name == name]
        kept = next((one for one in there if wish and one.digest == wish.digest), None)
        changes.append(Change(name, wish, kept, tuple(one for one in there if one is not kept)))
    return changes


class Board:
    """The recurring runs of one experiment."""

    def __init__(self, cluster: Cluster, experiment: str) -> None:
        self.cluster, self.experiment_id = cluster, cluster.experiment(experiment)

    def standing(self) -> list[Standing]:
        """Those that were made here, the oldest first."""
        listing = self.cluster.client.list_recurring_runs
        rows = self.cluster.every(listing, "recurring_runs", experiment_id=self.experiment_id, sort_by="created_at")
        return [one for row in rows if (one := _standing(row))]

    def carry_out(self, change: Change) -> None:
        if change.wanted and not change.kept:
            self._create(change.wanted, paused=any(one.paused for one in change.removed))
        for one in change.removed:
            self.delete(one)

    def delete(self, one: Standing) -> None:
        """ORPHAN: a run at work goes on. kfp.Client cannot say so, and by default the server would end it."""
        delete = self.cluster.client.recurring_runs.recurring_run_service_delete_recurring_run
        self.cluster.call(delete, one.id, propagation_policy="ORPHAN")

    def pause(self, one: Standing, paused: bool) -> None:
        client = self.cluster.client
        self.cluster.call(client.disable_recurring_run if paused else client.enable_recurring_run, one.id)

    def _create(self, wish: Wanted, paused: bool) -> None:
        pipeline_id, version_id = self.cluster.upload(wish.package)
        self.cluster.call(
            self.cluster.client.create_recurring_run,
            self.experiment_id,
            wish.name,
            description=MARK.format(kind=wish.kind, digest=wish.digest),
            start_time=wish.start,
            end_time=wish.end,
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
    kind, digest = mark.groups()
    cron = row.trigger.cron_schedule.cron if row.trigger and row.trigger.cron_schedule else ""
    return Standing(row.recurring_run_id, row.display_name, kind, digest, row.mode == "DISABLE", cron)


def changes(host: str | None, file: Path) -> tuple[Board, list[Change]]:
    """What `apply` has to do. Raises ConfigError for the file and ClusterError for the server."""
    schedules = read_schedules(file)
    wishes = [wanted(name, schedule) for name, schedule in schedules.schedules.items()]
    board = Board(Cluster(host), schedules.experiment)
    return board, plan(wishes, [one for one in board.standing() if one.kind == "schedule"])


def overview(host: str | None, file: Path) -> list[str]:
    """A line for every schedule and backfill: its name, when, whether it is paused, and what `apply` would do."""
    board, planned = changes(host, file)
    says = {change.name: APPLY[change.verdict] for change in planned}
    standing = board.standing()
    missing = [f"{name}  not on the cluster  ({says[name]})" for name in sorted({*says} - {s.name for s in standing})]
    return missing + [
        f"{one.name}  {one.cron}  {'paused' if one.paused else 'on'}  ({says.get(one.name, one.kind)})"
        for one in standing
    ]


def named(host: str | None, file: Path, name: str) -> tuple[Board, list[Standing]]:
    """All on the server that have the name, backfills too.

    Raises:
        ConfigError: there is none.
    """
    board = Board(Cluster(host), read_schedules(file).experiment)
    standing = board.standing()
    found = [one for one in standing if one.name == name]
    if not found:
        there = ", ".join(sorted({one.name for one in standing})) or "none"
        raise ConfigError(f"{board.cluster.host} has no schedule {name}; there is {there}.")
    return board, found


def backfill(host: str | None, file: Path, name: str | None, first: str, last: str) -> Change:
    """Has KFP run a schedule for times that lie behind: a recurring run that starts and ends there, and catches up.

    Args:
        name: may be left out where the file holds one schedule.
        first, last: dates or times, both included, UTC unless they say otherwise.

    Raises:
        ConfigError: a time or the name does not fit.
        ClusterError: the server refuses or does not answer.
    """
    schedules = read_schedules(file)
    if name not in schedules.schedules and (name or len(schedules.schedules) != 1):
        said = f"There is no schedule {name} in {file}" if name else f"{file} holds several schedules"
        raise ConfigError(f"{said}; choose one of {', '.join(schedules.schedules)} with --schedule.")
    name = name or next(iter(schedules.schedules))
    start, end = _window(first, last)
    wish = wanted(name, schedules.schedules[name].model_copy(update={"catch_up": True}))
    title = f"{name}-backfill-{first}-{last}"
    wish = replace(wish, name=title, kind="backfill", start=start, end=end)
    board = Board(Cluster(host), schedules.experiment)
    (change,) = plan([wish], [one for one in board.standing() if one.name == title])
    board.carry_out(change)
    return change


def _window(first: str, last: str) -> tuple[str, str]:
    """RFC 3339. KFP runs what comes after the start, so it is a second earlier."""
    start, end = _time(first, "--from"), _time(last, "--to")
    if len(last) == len("2026-11-23"):
        end += timedelta(days=1, seconds=-1)
    if start > end:
        raise ConfigError(f"--from {first} comes after --to {last}; turn them round.")
    if end > datetime.now(UTC):
        raise ConfigError(f"--to {last} is not over yet; choose a time that has passed, the schedule does the rest.")
    return (start - timedelta(seconds=1)).isoformat(), end.isoformat()


def _time(text: str, option: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text} is no date; write 2026-11-23 or 2026-11-23T02:00.") from None
    return time.replace(tzinfo=time.tzinfo or UTC)
