"""The commands of promotion: sync, promote, rollback, retire, history; pipelines/cli/app.py registers them."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import Params, ProfileOption, Set


def sync(
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Keep running, and sync whenever MLflow's webhook calls. [sync once]"),
    ] = None,
    profile: ProfileOption = None,
    set_: Set = None,
    params: Params = None,
) -> None:
    """Serve the version that has the alias `champion` in MLflow.

    First it forgets Pins and users whose consent was withdrawn (see `pinclip forget`). Then it brings the version's
    embedding space up to date, and switches `pin_ranking` when all of it is checked.
    """
    from components.forgetting.withdrawn import forget_withdrawn
    from components.settings import Settings
    from components.spaces import promote
    from pipelines.configuration import configuration

    config, settings = configuration(profile, params, set_ or []).promotion, Settings()

    def once() -> None:
        if proof := forget_withdrawn(Path.cwd(), settings, _report):
            typer.echo(f"{proof.said} without consent are forgotten: {proof.file}")
        _say(promote.sync(config, settings, _report))

    if listen is None:
        once()
        return
    from pipelines.cli.webhook_listener import listen as listen_at

    listen_at(listen, settings.model_name, once)


def promote(
    version: Annotated[int, typer.Argument(help="Version number of the registered model.", min=1)],
    force: Annotated[
        str,
        typer.Option(metavar="REASON", help="Promote a version that failed its gate; the reason becomes a tag."),
    ] = "",
    profile: ProfileOption = None,
    set_: Set = None,
    params: Params = None,
) -> None:
    """Make a version the champion and serve it.

    The alias moves when the version's space is ready, in the moment of the switch.
    """
    from components.settings import Settings
    from components.spaces import promote
    from pipelines.configuration import configuration

    config = configuration(profile, params, set_ or []).promotion
    _say(promote.promote(version, force, config, Settings(), _report))


def rollback() -> None:
    """Serve the previous version again, at once."""
    from components.settings import Settings
    from components.spaces import roll_back

    event = roll_back.rollback(Settings())
    typer.echo(f"{event.space} serves again in place of {event.former}; version {event.version} is the champion.")


def retire(
    space: Annotated[str, typer.Argument(help="e.g. v7")],
    even_rollback: Annotated[
        bool, typer.Option("--even-rollback", help="Remove it even if `pinclip rollback` would need it.")
    ] = False,
) -> None:
    """Remove a space that nobody reads: features, vectors, index."""
    from components.settings import Settings
    from components.spaces import retire

    retire.retire(space, Settings(), even_rollback)
    typer.echo(f"{space} is gone.")


def history() -> None:
    """Show which versions have served, and when."""
    from rich.console import Console
    from rich.table import Table

    from components.settings import Settings
    from components.spaces import serving_history

    found = serving_history.read_events(Settings())
    if not found:
        typer.echo("Nothing has served yet.")
        return
    table = Table("time, UTC", "event", "space", "version", "before", "by", "reason", box=None, padding=(0, 1))
    for one in found:
        minute = one.time[:16].replace("T", " ")
        table.add_row(minute, one.said, one.space, str(one.version), one.former or "", one.by, one.reason)
    Console().print(table, markup=False, highlight=False)


def _report(fraction: float, message: str) -> None:
    typer.echo(f"{fraction:4.0%}  {message}")


def _say(done: object) -> None:
    from components.spaces.promote import Synced

    assert isinstance(done, Synced)
    newer = "the newer " if done.former and int(done.former[1:]) > done.version else ""
    where = f"in place of {newer}{done.former}" if done.former else "as before"
    typer.echo(f"Version {done.version} is the champion; its space {done.space} serves {where}.")
