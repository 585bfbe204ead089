"""`pinclip forget`: erases Pins and users from every place and prints the proof; pipelines/cli/app.py registers it."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.options import Params, ProfileOption, Set


def forget(
    pins: Annotated[list[str] | None, typer.Argument(metavar="PIN…", help="Ids.")] = None,
    file: Annotated[Path | None, typer.Option(help="Ids too, one a line.")] = None,
    user: Annotated[
        list[str] | None, typer.Option(help="A user's id: all boards, preferences and tastes go; repeatable.")
    ] = None,
    users: Annotated[Path | None, typer.Option(help="A file of users' ids, one a line.")] = None,
    withdrawn: Annotated[
        bool,
        typer.Option("--withdrawn", help="Those of a space whose consent is gone, or that a backup brought back."),
    ] = False,
    catalogue: Annotated[
        list[Path] | None, typer.Option(help="One more than catalogues/* and those that versions came from.")
    ] = None,
    folder: Annotated[
        list[Path] | None, typer.Option(help="Of runs, one more than runs, monitoring and studies; repeatable.")
    ] = None,
    retrain: Annotated[bool, typer.Option("--retrain", help="Then train a version that never saw them.")] = False,
    lift: Annotated[
        bool, typer.Option("--lift", help="Erase nothing: let these come back with the next catalogue.")
    ] = False,
    profile: ProfileOption = None,
    set_: Set = None,
    params: Params = None,
) -> None:
    """Erase Pins and users from everything that is kept, and prove it.

    Works while services run; given again after a kill it goes on. What only others can erase is listed with its owner.
    """
    from model.data.forgotten import user_key
    from model.data.ids import id_refusal, pin_id_refusal
    from model.errors import ConfigError, RunError

    ids = [*(pins or []), *(read_ids(file) if file else [])]
    people = [*(user or []), *(read_ids(users) if users else [])]
    if not all(one.strip() for one in [*ids, *people]):
        raise ConfigError("An id is empty; take it out.")
    if odd := next(filter(pin_id_refusal, ids), None):
        raise ConfigError(f"The id {odd[:80]!r} {pin_id_refusal(odd)}, so it is no Pin's; check it.")
    if odd := next(filter(id_refusal, people), None):
        raise ConfigError(f"The id {odd[:80]!r} {id_refusal(odd)}, so it is no user's; check it.")
    if not ids and not people and not withdrawn:
        raise ConfigError("No Pin and no user is named; give ids, --file with one a line, --user, or --withdrawn.")

    # After the checks: these import Feast and MLflow.
    from components.forgetting.forget import Where
    from components.forgetting.forget import forget as erase
    from components.forgetting.withdrawn import withdrawn as find_withdrawn
    from components.settings import Settings
    from components.tombstones import bury, read_tombstones
    from pipelines.configuration import configuration

    settings, config = Settings(), configuration(profile, params, set_ or [])
    if lift:
        bury([*ids, *map(user_key, people)], settings, lifted=True)
        typer.echo(f"{len(ids) + len(people):,} may come back with the next catalogue that holds them.")
        return
    where = Where.of(Path.cwd(), catalogue or [], folder or [], settings)
    if withdrawn:
        found = find_withdrawn(where.catalogues, settings)
        ids, people = ids + found.pins, people + found.users
    if not ids and not people:
        typer.echo("No consent was withdrawn, and nothing came back.")
        return
    known = read_tombstones(settings)
    proof = erase(ids, where, settings, lambda fraction, message: typer.echo(message), people)
    _say(proof)
    if not proof.found and all(one in known for one in [*ids, *map(user_key, people)]):
        typer.echo("They were forgotten before, and nothing of them has come back.")
    elif not proof.found:
        typer.echo("Nothing of them was found, and they are forgotten from now on; a mistyped id: --lift it.")
    if proof.left:
        spot = proof.left[0]
        raise RunError(
            f"{spot.place} still holds {spot.left} of them: somebody works with it, or it is damaged; call again when "
            "that has ended, or with a whole file."
        )
    if retrain:
        _retrain([Path(path) for path in proof.catalogues], config)


def _retrain(catalogues: list[Path], config: object) -> None:
    from components.configuration import Configuration
    from pipelines.cli.run import run_training

    assert isinstance(config, Configuration)
    for path in catalogues:
        run_training(path, config, None)
    if not catalogues:
        typer.echo("No version was trained on them, so none is trained anew.")


def read_ids(file: Path) -> list[str]:
    """Ids of a file, blank lines left out. A line ends at a line feed alone; the mark that Windows puts first is no
    part of an id."""
    from model.errors import ConfigError

    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8; write one id a line.") from None


def _say(proof: object) -> None:
    from rich.console import Console
    from rich.table import Table

    from components.forgetting.proof import Proof

    assert isinstance(proof, Proof)
    looked, found, left = Counter[str](), Counter[str](), Counter[str]()
    for spot in proof.spots.values():
        looked[spot.kind] += 1
        found[spot.kind] += spot.found
        left[spot.kind] += spot.left
    table = Table("where", "places looked at", "found", "left", box=None, padding=(0, 1))
    for kind in looked:
        table.add_row(kind, f"{looked[kind]:,}", f"{found[kind]:,}", f"{left[kind]:,}")
    console = Console()
    console.print(table)
    for one in proof.remains:
        console.print(
            f"Not ours to erase: {one.what}. To be done by {one.owner}: {one.how}.",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"Proof: {proof.file}", markup=False, highlight=False, soft_wrap=True)
