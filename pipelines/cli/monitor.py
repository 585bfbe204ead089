"""`pinclip monitor`: the DAG of pipelines/monitoring.py on this machine.

monitoring/20261121-200000/    one look: index.html, drift.json, what became of the notice, the log
"""

import json
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from components.configuration import Configuration
from components.monitoring.cooldown import Cooldown
from components.monitoring.page import drift_headline
from components.monitoring.retraining import TRAINING
from components.settings import Settings
from components.spaces.published_spaces import published_spaces
from model.data.catalogue import Catalogue
from model.errors import PinclipError
from pipelines.cli.run import run_training
from pipelines.failure import PipelineFailed
from pipelines.lineage import unread_lineage
from pipelines.local.display import display
from pipelines.local.runner import execute
from pipelines.local.runs import claimed, fresh_name, keep

PIPELINE = "pipelines.monitoring:monitoring"
LOOKS = Path("monitoring")
KEPT = {"index.html": "measure/page", "drift.json": "measure/drift", "noticed.json": "notify/noticed"}


def monitor(catalogue: Path, config: Configuration, out: Path | None, retrain: bool) -> None:
    """Looks once, prints the result in one line, and with `retrain` starts a training if a measure is over its limit.

    Raises:
        PinclipError: a mistake of the user's; no space is published.
        PipelineFailed: a step failed for another reason.
    """
    console, settings = Console(), Settings()
    out = (out or fresh_name(LOOKS)).absolute()
    root = str(Catalogue(catalogue.absolute()).root)
    published_spaces(settings)  # said before anything starts
    lineage = unread_lineage(root, f"monitor-{datetime.now(UTC):%Y%m%d%H%M%S}")
    arguments = {"catalogue": root, "lineage": lineage}
    with claimed(out) as work:
        try:
            with display(console, f"pinclip monitor {out.name}") as show:
                execute(PIPELINE, arguments, config, work, show)
        except (PinclipError, PipelineFailed) as error:
            failed = keep(work, out.with_name(f"{out.name}.failed"), lineage, {})
            error.add_note(f"Log: {failed / 'pipeline.log'}")
            raise
        keep(work, out, lineage, KEPT)
    _say(console, out)
    if json.loads((out / "drift.json").read_text(encoding="utf-8"))["over"]:
        offer_retraining(console, catalogue, config, settings, retrain)


def _say(console: Console, out: Path) -> None:
    drift, noticed = (json.loads((out / name).read_text(encoding="utf-8")) for name in ("drift.json", "noticed.json"))
    console.print(f"\n{drift_headline(drift)}.", markup=False, highlight=False, soft_wrap=True)
    rows = {"page": f"{out}/index.html", "figures": f"{out}/drift.json", "tracking": "pinclip ui"}
    rows |= {"notice": noticed["says"]} if noticed["over"] else {}
    for name, text in rows.items():
        console.print(f"  {name:<9} {text}", markup=False, highlight=False, soft_wrap=True)


def offer_retraining(
    console: Console, catalogue: Path, config: Configuration, settings: Settings, retrain: bool
) -> None:
    """Prints the command or, with `retrain`, runs it; a training that fails is not repeated before the cool-down is
    over."""
    hours, due = config.monitoring.cooldown_hours, False
    says = f"pinclip run --catalogue {catalogue} --profile {config.profile}   (or this command with --retrain)"
    if retrain:
        with Cooldown(settings, hours).once(TRAINING, datetime.now(UTC)) as due:
            says = "starts now" if due else f"one was started in the last {hours:g} hours; no other is"
    console.print(f"  {'training':<9} {says}", markup=False, highlight=False, soft_wrap=True)
    if due:
        run_training(catalogue, config, None)
