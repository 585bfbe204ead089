"""The commands that talk to a cluster; pipelines/cli/app.py registers them.

The token for KFP is no option, so that no history and no process list shows it (pipelines/cluster/access.py).
"""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import DeployProfileOption, Params, ProfileOption, Set

Host = Annotated[str | None, typer.Option(help="Address of KFP's API. [PINCLIP_KFP_HOST]")]
File = Annotated[Path | None, typer.Option(help="The schedules, as code. [deploy/schedules.yaml]")]
ScheduleName = Annotated[str, typer.Argument(help="Of a schedule, as `list` shows it.")]

schedule = typer.Typer(
    help="Runs that repeat, as deploy/schedules.yaml has them.", no_args_is_help=True, rich_markup_mode=None
)


def doctor(
    profile: ProfileOption = None,
    set_: Set = None,
    params: Params = None,
    cluster: Annotated[bool, typer.Option("--cluster", help="Look at KFP and Kubernetes too (KUBECONFIG).")] = False,
    deploy_profile: DeployProfileOption = "cluster",
    host: Host = None,
) -> None:
    """Check this machine, and a cluster, and say what to do."""
    from pipelines.cluster.doctor import cluster_checks
    from pipelines.cluster.profiles import read_profile
    from pipelines.configuration import configuration
    from pipelines.local.doctor import examine

    more = cluster_checks(host, read_profile(deploy_profile)) if cluster else ()
    if not examine(configuration(profile, params, set_ or []), more):
        raise typer.Exit(1)


def submit(
    catalogue: Annotated[str, typer.Option(help="The catalogue folder, as the steps on the cluster see it.")],
    host: Host = None,
    experiment: Annotated[str, typer.Option(help="KFP's experiment; made where there is none.")] = "pinclip",
    deploy_profile: DeployProfileOption = "cluster",
    profile: ProfileOption = None,
    set_: Set = None,
    params: Params = None,
    follow: Annotated[bool, typer.Option("--follow", help="Stay until the run has ended, and say how.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Prepare the catalogue anew, and what follows.")] = False,
) -> None:
    """Run the whole pipeline once on a cluster."""
    from pipelines.cluster.client import submit
    from pipelines.cluster.profiles import read_profile
    from pipelines.cluster.run_follower import Follower
    from pipelines.configuration import configuration

    config = configuration(profile, params, set_ or [])
    cluster, run_id = submit(host, experiment, catalogue, config, read_profile(deploy_profile), _warn, anew=no_cache)
    typer.echo(f"Submitted: {cluster.address(run_id)}")
    if follow:
        for line in Follower(cluster).to_the_end(run_id):
            typer.echo(line)


def backfill(
    first: Annotated[str, typer.Option("--from", help="The first day or time, e.g. 2026-11-01, UTC.")],
    last: Annotated[str, typer.Option("--to", help="The last one; it is included.")],
    schedule: Annotated[str | None, typer.Option(help="Its name; needed where there are several.")] = None,
    catalogue: Annotated[
        str | None, typer.Option(help="In place of the schedule's, e.g. /data/catalogues/%Y-%m-%d.")
    ] = None,
    host: Host = None,
    file: File = None,
) -> None:
    """Run a schedule for times that have passed, and follow the runs to their end.

    The runs are named after the times they stand for. Given again, it leaves out what has run well.
    """
    from pipelines.cluster.backfill import backfill
    from pipelines.cluster.schedules import SCHEDULES

    for line in backfill(host, file or SCHEDULES, schedule, first, last, catalogue):
        typer.echo(line)


@schedule.command()
def apply(host: Host = None, file: File = None) -> None:
    """Make the cluster agree with the file; the second time it changes nothing.

    What is paused stays paused, and runs at work go on.
    """
    from pipelines.cluster.schedules import SCHEDULES, changes, lacking, other_account

    recurring, planned = changes(host, file or SCHEDULES)
    for sentence in lacking(recurring, planned):
        _warn(sentence)
    for change in planned:
        warning = other_account(change, recurring.carry_out(change))
        typer.echo(f"{change.name}: {change.verdict}")
        if warning:
            _warn(f"{change.name}: {warning}")


@schedule.command("list")
def list_(host: Host = None, file: File = None) -> None:
    """Show what is on the cluster, and what `apply` would change."""
    from pipelines.cluster.schedules import SCHEDULES, overview

    for line in overview(host, file or SCHEDULES):
        typer.echo(line)


@schedule.command()
def pause(name: ScheduleName, host: Host = None, file: File = None) -> None:
    """Start no more runs, until `resume`."""
    _set_paused(name, host, file, True)


@schedule.command()
def resume(name: ScheduleName, host: Host = None, file: File = None) -> None:
    """Go on after a pause."""
    _set_paused(name, host, file, False)


@schedule.command()
def delete(name: ScheduleName, host: Host = None, file: File = None) -> None:
    """Take a schedule off the cluster; its runs stay.

    A schedule that is still in the file comes back with the next `apply`.
    """
    from pipelines.cluster.schedules import SCHEDULES, find_recurring_runs

    recurring, found = find_recurring_runs(host, file or SCHEDULES, name)
    for one in found:
        recurring.delete(one)
    typer.echo(f"{name}: deleted")


def _warn(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _set_paused(name: str, host: str | None, file: Path | None, paused: bool) -> None:
    from pipelines.cluster.schedules import SCHEDULES, find_recurring_runs

    recurring, found = find_recurring_runs(host, file or SCHEDULES, name)
    for one in found:
        recurring.pause(one, paused)
    typer.echo(f"{name}: {'paused' if paused else 'goes on'}")
