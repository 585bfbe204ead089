"""`pinclip backfill`: a schedule's runs for times that have passed, each started with its time written into it.

A recurring run of KFP cannot do it: it catches up, but tells no run which time it is for
(pipelines/cluster/recurring.py). So every time is a run of its own, named after it, `at_a_time` of them at once. What
KFP shows of these names is the only record: the same command, given again after a break, goes on with the times that
have not ended well.
"""

import time as clock
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from model.errors import ClusterError, ConfigError
from pipelines.cluster.checks import check_profile
from pipelines.cluster.client import Cluster
from pipelines.cluster.profiles import read_profile
from pipelines.cluster.run_follower import DONE, ENDED, PAUSE, Follower
from pipelines.cluster.schedule_file import Schedule, Wanted, read_schedules, wanted_at

LIMIT = 400  # runs


@dataclass
class _Night:
    wish: Wanted
    run_id: str = ""
    state: str = ""  # KFP's; "" before it was started


def backfill(
    host: str | None, file: Path, name: str | None, first: str, last: str, catalogue: str | None = None
) -> Iterator[str]:
    """Starts the runs, oldest first, and follows them; yields a line for whatever changes.

    Args:
        name: may be left out where the file holds one schedule.
        first, last: dates or times, both included, UTC unless they say otherwise.
        catalogue: takes the place of the schedule's; %Y, %m and %d in it become those of the time.

    Raises:
        ConfigError: a time or the name does not fit, or nothing would have run.
        ClusterError: the server refuses or does not answer, what the profile names is missing, or a run failed.
    """
    schedules = read_schedules(file)
    if name not in schedules.schedules and (name or len(schedules.schedules) != 1):
        said = f"There is no schedule {name} in {file}" if name else f"{file} holds several schedules"
        raise ConfigError(f"{said}; choose one of {', '.join(schedules.schedules)} with --schedule.")
    name = name or next(iter(schedules.schedules))
    schedule = schedules.schedules[name]
    wishes = wanted_at(name, schedule, _times(schedule, first, last), catalogue)
    cluster = Cluster(host)
    profile = read_profile(schedule.deploy_profile)
    yield from check_profile(profile, [schedule.pipeline], cluster.namespace, cluster.version)
    runs = _Runs(cluster, schedules.experiment)
    yield from _follow(runs, [_Night(wish) for wish in wishes], schedule.at_a_time)


class _Runs:
    """The runs of one experiment."""

    def __init__(self, cluster: Cluster, experiment: str) -> None:
        self.cluster, self.experiment_id = cluster, cluster.experiment(experiment)

    def find(self, night: _Night) -> None:
        """Finds the newest run of that name, unless it failed."""
        listing = self.cluster.client.list_runs
        where = {"experiment_id": self.experiment_id, "sort_by": "created_at desc"}
        run = self.cluster.named(listing, "runs", night.wish.name, **where)
        if run and (run.state == DONE or run.state not in ENDED):
            night.run_id, night.state = run.run_id, run.state

    def start(self, night: _Night) -> None:
        wish = night.wish
        run = self.cluster.start(self.experiment_id, wish.name, wish.package, wish.arguments, wish.service_account)
        night.run_id, night.state = run.run_id, "PENDING"


def _follow(runs: _Runs, nights: Sequence[_Night], at_a_time: int) -> Iterator[str]:
    for night in nights:
        runs.find(night)
        if night.state:
            yield f"{night.wish.name}: {'has run already' if night.state == DONE else 'taken up'}"
    follower = Follower(runs.cluster)
    while True:
        working = [night for night in nights if night.state and night.state not in ENDED]
        waiting = [night for night in nights if not night.state]
        for night in waiting[: max(at_a_time - len(working), 0)]:
            runs.start(night)
            yield f"{night.wish.name}: started, {runs.cluster.address(night.run_id)}"
            working.append(night)
        if not working:
            break
        clock.sleep(PAUSE)
        for night in working:
            night.state = follower.state(night.run_id)
            yield from follower.waiting(night.run_id)
            if night.state in ENDED:
                yield f"{night.wish.name}: {night.state.lower()}"
    failed = [night.wish.name for night in nights if night.state != DONE]
    if failed:
        raise ClusterError(
            f"{len(failed)} of {len(nights)} runs did not end well ({', '.join(failed[:5])}); KFP names the step, and "
            "the same command runs these again."
        )


def _times(schedule: Schedule, first: str, last: str) -> list[datetime]:
    """When the schedule would have run in the window; cron's seconds are whole, so the start is a second earlier."""
    start, end = _time(first, "--from"), _time(last, "--to")
    if len(last) == len("2026-11-23"):
        end += timedelta(days=1, seconds=-1)
    if start > end:
        raise ConfigError(f"--from {first} comes after --to {last}; turn them round.")
    if end > datetime.now(UTC):
        raise ConfigError(f"--to {last} is not over yet; choose a time that has passed, the schedule does the rest.")
    times = []
    for one in schedule.times(start - timedelta(seconds=1), end):
        times.append(one)
        if len(times) > LIMIT:
            raise ConfigError(f"From {first} to {last} are more than {LIMIT} runs; choose a shorter time.")
    if not times:
        raise ConfigError(f"Nothing would have run from {first} to {last} ({schedule.cron}); choose a longer time.")
    return times


def _time(text: str, option: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option} {text} is no date; write 2026-11-23 or 2026-11-23T02:00.") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
