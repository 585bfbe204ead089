"""`pinclip lineage VERSION`: shows where a registered version came from and what was made of it, on one screen.

Read from MLflow (the version's tags, its run's figures and files) and from this home (the space's manifest, its index,
what was promoted when).
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from components.mlflow_client import connect, mlflow_errors
from components.registry.candidates import FORCED
from components.report import tables
from components.settings import Settings
from components.spaces import serving_history
from components.spaces.paths import state_folder
from components.spaces.published_spaces import published_spaces
from model.errors import StoreError
from serving.space import PIN_EMBEDDING, PIN_RANKING

Line = tuple[str, str]
UNKNOWN = "not stated"
EVENTS = 3  # of the version, the last ones


def show(asked: str) -> None:
    """Prints the screen of a version, given by its number or by an alias.

    Raises:
        StoreError: there is no such version, or MLflow does not answer.
    """
    settings, console = Settings(), Console()
    version, aliases = _found(asked, settings)
    run = _run(version.run_id, settings)
    rows = [
        ("version", _titled(version, aliases)),
        *_origin(version.tags),
        ("validation", _validation(version.run_id, settings) if run else UNKNOWN),
        *_made_by(version, run),
        *_verdict(version.tags),
        *(_figures(run.data.metrics) if run else []),
        *_space(version, settings),
        *_history(version, settings),
    ]
    for name, text in rows:
        console.print(f"{name:<12} {text}", markup=False, highlight=False, soft_wrap=True)


def _found(asked: str, settings: Settings) -> tuple[Any, list[str]]:
    """(MLflow's version, the aliases that it holds)."""
    client, name = connect(settings), settings.model_name
    with mlflow_errors():
        versions = {str(version.version): version for version in client.search_model_versions(f"name = '{name}'")}
        models = client.search_registered_models(f"name = '{name}'")
    held: dict[str, Any] = models[0].aliases if models else {}
    number = str(held.get(asked, asked.removeprefix("v")))
    if number not in versions:
        last = max(map(int, versions), default=0)
        there = f"the newest is {last}" if last else "nothing is registered yet"
        raise StoreError(f"There is no version {asked} of models:/{name}; {there}.")
    return versions[number], sorted(alias for alias, holder in held.items() if str(holder) == number)


def _run(run_id: str | None, settings: Settings) -> Any | None:
    """MLflow's run; None where it has been deleted for good."""
    from mlflow.exceptions import MlflowException

    try:
        return connect(settings).get_run(run_id) if run_id else None
    except MlflowException:
        return None


def _titled(version: Any, aliases: list[str]) -> str:
    held = f", {' and '.join(aliases)}" if aliases else ", no alias"
    return f"models:/{version.name}/{version.version}{held}, made {_time(version.creation_timestamp)}"


def _origin(tags: Mapping[str, str]) -> Iterator[Line]:
    yield "code", tags.get("pinclip.git_rev", UNKNOWN)
    yield "catalogue", tags.get("pinclip.catalogue", UNKNOWN)
    yield "  digest", tags.get("pinclip.catalogue_digest", UNKNOWN)
    yield "  DVC md5", tags.get("pinclip.dvc_md5", "DVC did not track it")


def _validation(run_id: str, settings: Settings) -> str:
    connect(settings)
    import mlflow

    try:
        found = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/validation.json"))
    except Exception as error:  # each store of files raises errors of its own
        return f"its file cannot be read from MLflow ({next(iter(str(error).splitlines()), type(error).__name__)})"
    held = sum(one["success"] for one in found["expectations"])
    said = f"{'passed' if found['success'] else 'failed'}, {held} of {len(found['expectations'])} expectations hold"
    return "; ".join([said, *found["failures"], *found["warnings"]])


def _made_by(version: Any, run: Any | None) -> Iterator[Line]:
    name = version.tags.get("pinclip.run_id", UNKNOWN)
    state = f"MLflow run {version.run_id}, {run.info.status.lower()}" if run else "no longer in MLflow"
    yield "run", f"{name} ({state})"
    yield "  schedule", version.tags.get("pinclip.schedule", "none, started by hand")


def _verdict(tags: Mapping[str, str]) -> Iterator[Line]:
    """The broken rules, or the one sentence on whom the version was compared with."""
    verdict = tags.get("pinclip.gate")
    reasons = tags.get("pinclip.gate.reasons", "").splitlines()
    yield "gate", verdict or "it carries no verdict"
    yield from (("", reason) for reason in (reasons[-1:] if verdict == "passed" else reasons))
    if FORCED in tags:
        yield "", f"Promoted all the same: {tags[FORCED]}"


def _figures(metrics: Mapping[str, float]) -> Iterator[Line]:
    """recall@10 on fresh Pins, beside the baseline and the champion of that day."""
    yield "metrics", "recall@10 on fresh Pins"
    for path, label, _ in tables.TASKS:
        fresh = f"fresh/{'/'.join(path)}/recall_at_10"
        found = {
            "{:.3f}": metrics.get(fresh),
            "CLIP objective {:.3f}": metrics.get(f"baseline_clip/{fresh}"),
            "against the champion {:+.3f}": metrics.get(f"comparison/tasks/{path[-1]}/difference"),
        }
        said = [form.format(value) for form, value in found.items() if value is not None]
        yield "", f"{label:<23}{'  '.join(said) or 'not measured'}"


def _space(version: Any, settings: Settings) -> Iterator[Line]:
    name = version.tags.get("pinclip.space", f"v{version.version}")
    try:
        manifests, serving = published_spaces(settings)
    except StoreError:  # nothing is
        manifests, serving = {}, ""
    manifest = manifests.get(name)
    if manifest is None:
        yield "FeatureView", f"the space {name} is not published in {settings.home}"
        return
    if manifest.mlflow_run != (version.run_id or ""):
        yield "FeatureView", f"the space {name} in {settings.home} is of another MLflow run, {manifest.mlflow_run}"
        return
    by = "pin_ranking" if serving == name else f"{PIN_RANKING}{name}"
    counts = (
        f"{manifest.pins:,} Pins when published, {len(manifest.ids().unique()):,} now"  # pushed and forgotten since
    )
    yield "FeatureView", f"{PIN_EMBEDDING}{name}, {counts}, {manifest.affine.bits} bits; `{by}` serves it"
    if compatible := version.tags.get("pinclip.compatible_with"):
        yield "compatible", f"with {compatible}: their vectors may be compared"
    yield "index", _index(state_folder(name, settings) / "index" / "manifest.json")


def _history(version: Any, settings: Settings) -> Iterator[Line]:
    own = [one for one in serving_history.read_events(settings) if str(one.version) == str(version.version)]
    for number, one in enumerate(own[-EVENTS:]):
        at = _time(1000 * datetime.fromisoformat(one.time).timestamp())
        yield "" if number else "history", f"{at}, {one.said} by {one.by}"


def _index(file: Path) -> str:
    if not file.is_file():
        return f"none in {file.parent}"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    written = _time(1000 * file.stat().st_mtime)
    return f"{manifest['pins']:,} Pins, {manifest['snapshot']} in {file.parent}, written {written}"


def _time(milliseconds: float) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, tz=UTC):%Y-%m-%d %H:%M} UTC"
