"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

ProfileOption = Annotated[
    str | None, typer.Option(help="smoke, demo, pilot or full; the defaults of every setting. [demo]")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, e.g. train.epochs=2; repeatable.")
]
Params = Annotated[Path | None, typer.Option(help="YAML tree of settings, laid over the profile; --set comes last.")]
DeployProfileOption = Annotated[
    str, typer.Option(help="What the steps ask of the cluster: a name in deploy/profiles, or a YAML file.")
]
