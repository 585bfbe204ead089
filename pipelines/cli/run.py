"""`pinclip run`: the DAG of pipelines/training.py on this machine."""

import json
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from components.configuration import Configuration
from components.server_checks import check_servers
from components.settings import Settings
from components.spaces.compatible import named
from model.data.catalogue import Catalogue
from model.errors import PinclipError
from pipelines.failure import PipelineFailed
from pipelines.lineage import CODE, lineage, run_identity
from pipelines.local.display import display
from pipelines.local.runner import execute
from pipelines.local.runs import LATEST, claimed, fresh_name, keep_evidence, publish
from pipelines.towers import check_towers

PIPELINE = "pipelines.training:training"
RUNS = Path("runs")


def run_training(catalogue: Path, config: Configuration, out: Path | None) -> None:
    """Runs the whole pipeline and puts the run folder in its place; a run that dies leaves all as it was.

    Raises:
        PinclipError: a mistake of the user's, before the first step or in any.
        PipelineFailed: a step failed for another reason.
    """
    from pipelines.training import KEPT  # takes a second: it imports KFP

    console, started = Console(), time.time()
    check_servers(Settings())
    check_towers(config)
    config = named(config, Settings())
    out = (out or fresh_name(RUNS)).absolute()
    origin = lineage(Catalogue(catalogue.absolute()))
    run = run_identity(config, origin)
    arguments = {"catalogue": origin["catalogue"], "run": run, "lineage": origin}
    with claimed(out) as work:
        try:
            with display(console, f"pinclip run {out.name}  ·  {config.profile}") as show:
                execute(PIPELINE, arguments, config, work, show)
        except (PinclipError, PipelineFailed) as error:
            error.add_note(_where_to_look(keep_evidence(work, out, KEPT)))
            raise
        took = {"run": run, "started": started, "seconds": round(time.time() - started, 1)}
        publish(work, out, origin | took, KEPT)
    _say_what_next(console, out)


def _where_to_look(failed: Path) -> str:
    pages = [failed / place / "index.html" for place in ("validation-vectors", "validation")]
    found = [f"Validation: {page}" for page in pages if page.is_file()]
    return "\n".join([*found, f"Log: {failed / 'pipeline.log'}"])


def _say_what_next(console: Console, out: Path) -> None:
    metrics, version = (
        json.loads((out / name).read_text(encoding="utf-8")) for name in ("metrics.json", "version.json")
    )
    shown, settings = _relative(out), Settings()
    passed = version["verdict"]["passed"]
    failure = f"failed its gate, so it is no challenger: {version['verdict']['reasons'][0]}"
    verdict = "the gate passed: now the challenger" if passed else failure
    rows = {
        "report": f"{shown}/report.html",
        "figures": f"{shown}/metrics.json",
        "all of it": f"{shown}, also {_relative(out.parent)}/{LATEST}",
        "version": f"{version['uri']}  ({verdict})",
        "model": f"mlflow.pyfunc.load_model({version['uri']!r})",
        "tracking": "pinclip ui",
    }
    if settings.mlflow_uri.startswith("sqlite:"):  # a server's address may hold a password
        rows["model"] += f"  with MLFLOW_TRACKING_URI={settings.mlflow_uri}"
    if passed:
        rows["features"] = (
            f"FEAST_FS_YAML_FILE_PATH={settings.home}/feast/feature_store.yaml "
            f"feast -c {_relative(CODE / 'feature_repo')} feature-services list"
        )
    console.print(f"\n{_headline(metrics)}", markup=False, highlight=False)
    for name, text in rows.items():
        console.print(f"  {name:<9} {text}", markup=False, highlight=False, soft_wrap=True)


def _headline(metrics: dict[str, Any]) -> str:
    groups = metrics["fresh"]["related_pins"], metrics["baseline_clip"]["fresh"]["related_pins"]
    ours, clip = (f"{group['recall@10']:.3f}" if group else "not measured" for group in groups)
    return f"Related Pins on fresh Pins, recall@10: {ours} (CLIP objective: {clip})"


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
