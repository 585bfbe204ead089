"""`pinclip`, the command line. A user's mistake is one sentence and exit code 2; `pinclip --help` answers at once.

Everything heavier than typer is imported inside the command that needs it.
"""

import errno
import sys
from pathlib import Path
from typing import Annotated

import typer

from model.errors import PinclipError
from pipelines.cli import cluster, promotion
from pipelines.cli.embed import embed
from pipelines.cli.forget import forget
from pipelines.cli.options import DeployProfileOption, Params, ProfileOption, Set
from pipelines.cli.tag import tag
from pipelines.failure import PipelineFailed

FULL = (errno.ENOSPC, errno.EDQUOT)  # of a file that was open before, so that the error names none

app = typer.Typer(
    help="Pin vectors, learned on a Pin–Board graph and carried into ranking.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help is three times faster
)

Seeds = Annotated[int, typer.Option(help="Number of seeds; every arm is trained once with each.")]
StudyOut = Annotated[
    Path | None, typer.Option(help="The study's folder; its finished trials are not repeated. [studies/…]")
]
Parallel = Annotated[int | None, typer.Option(help="Trials at a time, one thread each. [as many as CPUs]")]


@app.command("import")
def import_(
    tables: Annotated[list[Path] | None, typer.Argument(help="With --guess: the tables to look at.")] = None,
    spec: Annotated[
        Path | None, typer.Option(help="YAML file that maps your tables to a catalogue; see docs/specs.md.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The catalogue folder to write; with --guess, the spec.")] = None,
    root: Annotated[
        Path | None, typer.Option(help="Where the spec's relative paths start. [the spec's folder]")
    ] = None,
    guess: Annotated[bool, typer.Option("--guess", help="Write a first spec for TABLES instead.")] = False,
) -> None:
    """Turn your tables and images into a catalogue."""
    from pipelines.cli.catalogues import guess_spec, import_tables

    if guess:
        guess_spec(tables or [], spec, out, root)
    else:
        import_tables(spec, out, root, tables or [])


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="The catalogue folder to write.")],
    pins: Annotated[int, typer.Option(help="Pins to draw.")] = 2000,
    boards: Annotated[int, typer.Option(help="Boards to fill.")] = 200,
    users: Annotated[int, typer.Option(help="Users to name, each with boards and preferences; 0 names none.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same catalogue.")] = 0,
) -> None:
    """Generate a synthetic catalogue whose true neighbours are known."""
    from pipelines.cli.catalogues import generate_catalogue

    generate_catalogue(pins, boards, users, seed, out)


@app.command()
def run(
    catalogue: Annotated[Path, typer.Option(help="The catalogue folder to learn from.")],
    profile: ProfileOption = None,
    set_: Set = None,
    params: Params = None,
    out: Annotated[Path | None, typer.Option(help="The run folder to write. [runs/<time>]")] = None,
) -> None:
    """Run the whole pipeline on this machine.

    From a catalogue to a report, a registered model version and published features.
    """
    from pipelines.cli.run import run_training
    from pipelines.configuration import configuration

    run_training(catalogue, configuration(profile, params, set_ or []), out)


@app.command()
def ablate(
    catalogue: Annotated[Path, typer.Option(help="The catalogue folder to learn from.")],
    seeds: Seeds = 3,
    arms: Annotated[
        str,
        typer.Option(
            help="Comma-separated [all]: pinclip, clip, no-neighbour, hybrid-fusion, global-fusion, token-fusion, "
            "no-skip, one-text, no-funnel, no-stem, no-words, words, no-image-tower, no-text-tower, no-prefixes, "
            "no-masking, hard-negatives, sigmoid, softmax, adamw."
        ),
    ] = "",
    against: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="SigLIP 2, SigLIP or CLIP beside them: a folder or a hub name; repeatable."),
    ] = None,
    profile: ProfileOption = None,
    set_: Set = None,
    params: Params = None,
    out: StudyOut = None,
    parallel: Parallel = None,
) -> None:
    """Compare PinCLIP with the CLIP objective, and with PinCLIP without one of its ideas.

    Every arm is trained with every seed on the same budget and judged on the same fresh Pins.
    """
    from pipelines.cli.studies import ablate
    from pipelines.configuration import configuration

    names = [name.strip() for name in arms.split(",") if name.strip()]
    ablate(catalogue, configuration(profile, params, set_ or []), names, against or [], seeds, out, parallel)


@app.command()
def scale(
    catalogue: Annotated[Path, typer.Option(help="The catalogue folder to learn from.")],
    seeds: Seeds = 1,
    profile: ProfileOption = None,
    set_: Set = None,
    params: Params = None,
    out: StudyOut = None,
    parallel: Parallel = None,
) -> None:
    """Show how recall grows with data: 1/8, 1/4, 1/2 and all training Pins.

    PinCLIP and the CLIP objective, the same steps on every share, judged on the same fresh Pins.
    """
    from pipelines.cli.studies import scale
    from pipelines.configuration import configuration

    scale(catalogue, configuration(profile, params, set_ or []), seeds, out, parallel)


@app.command()
def tune(
    catalogue: Annotated[Path, typer.Option(help="The catalogue folder to learn from.")],
    trials: Annotated[int, typer.Option(help="Trainings; the first is the configuration as it is.")] = 20,
    space: Annotated[Path | None, typer.Option(help="YAML file of what to search. [specs/tune.yaml]")] = None,
    profile: ProfileOption = None,
    set_: Set = None,
    params: Params = None,
    out: StudyOut = None,
    parallel: Parallel = None,
) -> None:
    """Search for better settings, judged on validation Pins, never on the fresh ones.

    Every trial is a child run in MLflow; the best is printed as --set takes it.
    """
    from pipelines.cli.studies import tune
    from pipelines.configuration import configuration

    tune(catalogue, configuration(profile, params, set_ or []), trials, space, out, parallel)


@app.command()
def monitor(
    catalogue: Annotated[Path, typer.Option(help="The catalogue folder as it is today.")],
    retrain: Annotated[bool, typer.Option("--retrain", help="Start a training on an alarm.")] = False,
    profile: ProfileOption = None,
    set_: Set = None,
    params: Params = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write. [monitoring/<time>]")] = None,
) -> None:
    """Check once whether the catalogue or the served features have drifted.

    The reference is what the serving space was trained on. The result is one line, a page, an MLflow run and, on an
    alarm, a notice to the webhook that PINCLIP_ALERT_WEBHOOK names.
    """
    from pipelines.cli.monitor import monitor
    from pipelines.configuration import configuration

    monitor(catalogue, configuration(profile, params, set_ or []), out, retrain)


@app.command("compile")
def compile_(
    out: Annotated[Path, typer.Option(help="The YAML file to write.")] = Path("pipeline.yaml"),
    deploy_profile: DeployProfileOption = "local",
    manifests: Annotated[bool, typer.Option("--manifests", help="Write Kubernetes resources, for GitOps.")] = False,
    namespace: Annotated[str, typer.Option(help="Namespace of the resources. [kubectl's own]")] = "",
    profile: ProfileOption = None,
    set_: Set = None,
    params: Params = None,
) -> None:
    """Write the pipeline as KFP YAML for a cluster.

    It is the one that `pinclip run` runs; the settings become the default of its parameter `config`.
    """
    from pipelines.cluster.compilation import write_package
    from pipelines.cluster.profiles import read_profile
    from pipelines.configuration import configuration

    config = configuration(profile, params, set_ or [])
    write_package(out, config, read_profile(deploy_profile), manifests, namespace)
    typer.echo(f"Wrote {out}")


app.command()(cluster.doctor)
app.command()(cluster.submit)
app.command()(cluster.backfill)
app.add_typer(cluster.schedule, name="schedule")
for decides in (
    promotion.sync,
    promotion.promote,
    promotion.rollback,
    promotion.retire,
    promotion.history,
):
    app.command()(decides)
app.command()(embed)
app.command()(forget)
app.command()(tag)


@app.command()
def lineage(
    version: Annotated[str, typer.Argument(help="Version number or alias: champion, challenger.")],
) -> None:
    """Show the origin of a registered version, its verdict and its promotions."""
    from pipelines.cli.lineage import show

    show(version)


@app.command()
def serve(
    space: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A published space; repeatable. [all of them]")
    ] = None,
    host: Annotated[
        str, typer.Option(help="An address that others reach needs PINCLIP_SERVE_TOKEN in the environment.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the page and the API.")] = 8000,
    catalogue: Annotated[
        Path | None, typer.Option(help="Catalogue whose images the page shows. [that of the space that serves]")
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Start before the first publication, and become ready with it.")
    ] = False,
    without_damaged: Annotated[
        bool,
        typer.Option(
            "--without-damaged", help="Go on without shards and journal lines that cannot be read; say which."
        ),
    ] = False,
) -> None:
    """Serve vectors, search and a page, and accept new Pins."""
    from pipelines.cli.serve import serve

    serve(space or [], host, port, catalogue, wait, without_damaged)


@app.command()
def wait() -> None:
    """Wait until the first features are published, for a server that needs them."""
    from pipelines.cli.serve import wait_for_publication

    wait_for_publication()


@app.command()
def ui(port: Annotated[int | None, typer.Option(help="[5000, or a free one]")] = None) -> None:
    """Open MLflow's pages for the runs of this machine."""
    from pipelines.cli.ui import serve_ui

    serve_ui(port)


def main() -> None:
    """Runs the command line. Exit codes: 0 done, 1 a failure, 2 a mistake of the user's, 130 Ctrl-C, 143 SIGTERM."""
    try:
        app()
    except PinclipError as error:
        _say(str(error), error)
        sys.exit(2)
    except PipelineFailed as error:
        _say(str(error), error)
        sys.exit(1)
    except OSError as error:
        if error.filename is None and error.errno in FULL:
            _say("A disk is full: make room in PINCLIP_HOME, here and in TMPDIR, then give the command again.", error)
            sys.exit(2)
        if error.filename is None:
            raise
        _say(f"{error.filename}: {error.strerror}; check the path, its permissions and the space on its disk.", error)
        sys.exit(2)


def _say(sentence: str, error: BaseException) -> None:
    for line in (f"pinclip: {sentence}", *getattr(error, "__notes__", ())):
        typer.echo(line, err=True)
