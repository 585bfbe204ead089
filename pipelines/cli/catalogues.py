"""`pinclip import` and `pinclip generate`: write a catalogue, with a progress bar and a table of the rows read and
dropped."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from model.errors import CatalogueError, SpecError
from model.files import write_text


def guess_spec(tables: Sequence[Path], spec: Path | None, out: Path | None, root: Path | None) -> None:
    """Prints a first spec for the tables, or writes it to `out`, which must not be there."""
    from model.sources.importer.guess.spec_writer import guess

    if spec is not None:
        raise SpecError(f"--guess writes a spec and reads none; take --spec {spec} away, or --guess.")
    if not tables:
        raise SpecError("--guess needs tables to look at, e.g. pinclip import --guess items.parquet boards.csv.")
    if out is None:
        typer.echo(guess(tables, root or Path()), nl=False)
        return
    if out.exists():
        raise SpecError(f"{out} exists; choose another --out for the guessed spec, or move it away.")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, guess(tables, root or out.parent))
    catalogue = out.with_suffix("").name
    typer.echo(f"Wrote {out}; check it, then: pinclip import --spec {out} --out catalogues/{catalogue}")


def import_tables(spec: Path | None, out: Path | None, root: Path | None, tables: Sequence[Path]) -> None:
    from components.forgetting.imported import leave_out_forgotten
    from components.settings import Settings
    from model.sources.importer.catalogue import import_catalogue
    from model.sources.importer.spec.reading import load_spec

    if tables:
        raise SpecError(f"{tables[0]} is not asked for; name tables in the spec, or add --guess to get a first one.")
    if spec is None or out is None:
        raise SpecError("pinclip import needs --spec and --out; --guess TABLES… writes a first spec.")
    console = Console()
    with _progress(console, "import") as report:
        result = import_catalogue(load_spec(spec, root), out, report)
    gone = leave_out_forgotten(out, Settings())
    table = Table("table", "read", "kept", "dropped", "why", box=None)
    for row in result.rows():
        counts = [f"{row[name]:,}" for name in ("read", "kept", "dropped")]
        table.add_row(row["table"], *counts, row["reason"])
    console.print(table)
    if result.quarantined:
        console.print(f"{result.quarantined:,} refused rows, each with its reason: {out}/quarantine.parquet")
    if gone:
        console.print(f"{gone:,} forgotten Pins and users were left out (pinclip forget)")
    console.print(f"Wrote {out}; next: pinclip run --catalogue {out}", highlight=False, soft_wrap=True)


def generate_catalogue(pins: int, boards: int, users: int, seed: int, out: Path) -> None:
    from components.forgetting.imported import leave_out_forgotten
    from components.settings import Settings
    from model.sources.synthetic.generate import SyntheticConfig, generate

    console = Console()
    if out.exists() and not any((out / "pins").glob("*.parquet")) and not (out.is_dir() and not any(out.iterdir())):
        raise CatalogueError(f"{out} exists and is no catalogue; choose another --out, or move it away.")
    with _progress(console, "generate") as report:
        counts = generate(SyntheticConfig(pins=pins, boards=boards, users=users, seed=seed), out, report)
    leave_out_forgotten(out, Settings())
    console.print(", ".join(f"{count:,} {name}" for name, count in counts.items()), highlight=False)
    console.print(f"Wrote {out}; next: pinclip run --catalogue {out}", highlight=False, soft_wrap=True)


@contextmanager
def _progress(console: Console, name: str) -> Iterator[Callable[[float, str], None]]:
    """A bar at a terminal, nothing elsewhere: the table that follows says it all."""
    columns = (
        TextColumn(name),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=1.0)
        yield lambda fraction, message: progress.update(bar, completed=fraction, description=message)
