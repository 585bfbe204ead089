"""Fills the model card from what a run's steps left behind; what was not stated is shown as not stated.

model_card(evaluation=…, prepared=…, …)  ->  Markdown, for people
described(card)                          ->  as much of it as MLflow's description of a version holds
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.configuration import Configuration
from components.decision import decision
from components.gate import gate_verdict
from components.report import tables
from model.config.training import LOSSES
from model.data.catalogue import Catalogue
from model.errors import RunError

if TYPE_CHECKING:
    from jinja2 import Environment

DESCRIPTION = 5_000  # characters, the column of MLflow's database
REST = "\n*The whole card is the file model_card.md of this version's run.*\n"
_SPECIAL = re.compile(r"([\\`*_\[\]|#])")


def model_card(
    *,
    run_id: str,
    prepared: Path,
    evaluation: Path,
    comparison: Path,
    model_folder: Path,
    config: Configuration,
    lineage: Mapping[str, str],
) -> str:
    """The page, of the folders that the steps prepare, evaluate and train wrote and of the file of compare.

    Raises:
        RunError: a file of the run is missing.
    """
    metrics, slices, study = (_json(evaluation / f"{n}.json") for n in ("metrics", "slices", "quantization_study"))
    baseline, facts = metrics.get("baseline_clip") or {}, metrics["catalogue"]
    fresh = tables.tasks(metrics.get("fresh") or {}, baseline.get("fresh") or {}, facts)
    everything = tables.tasks(metrics, baseline, facts)
    compared = _json(comparison)
    verdict = gate_verdict(metrics, compared, config.gate)
    intake, refusals = tables.intake(_json(prepared / "summary.json"))
    page = {
        "run_id": run_id,
        "lineage": lineage,
        "config": config,
        "catalogue": facts,
        "parameters": metrics["model"]["parameters"],
        "intake": intake,
        "refusals": refusals,
        "has_consent": "consent" in Catalogue(prepared / "catalogue").columns("pins"),
        "towers": sorted({tower for tower in (config.vision.pretrained, config.text.pretrained) if tower}),
        "losses": ", ".join(f"{LOSSES[name][0]} {weight}" for name, weight in _weights(config).items()),
        "changed": _changed(config),
        "last": _last(model_folder / "curves.jsonl"),
        "figures": [
            (task.label, *pair)
            for task, other in zip(fresh, everything, strict=True)
            for pair in zip(task.measures, other.measures, strict=True)
        ],
        "weaker": sorted(
            {f"{t.label} {m.name}" for t in fresh for m in t.measures if m.gain is not None and m.gain < 0}
        ),
        "unmeasured": [f"{task.label} ({task.absent})" for task in fresh if task.absent],
        "slices": slices,
        "lowest": list(_lowest(slices)),
        "packing": metrics["quantization"],
        "retention": tables.retention(metrics["quantization"]),
        "targets": study["targets"],
        "verdict": verdict,
        "decision": decision(metrics, compared, verdict),
    }
    return _environment().get_template("template.md.j2").render(page)


def described(card: str) -> str:
    """Whole sections from the top, and where the rest is."""
    if len(card) <= DESCRIPTION:
        return card
    end = card.rfind("\n## ", 0, DESCRIPTION - len(REST))
    return card[:end] + REST


def _lowest(slices: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The slice of the lowest recall of every task and column, fresh Pins."""
    for task, measured in slices["scopes"].get("fresh", {}).items():
        for column, table in measured["columns"].items():
            if table["slices"]:
                row = min(table["slices"], key=lambda row: row["recall@10"])
                yield {"label": tables.LABELS[task], "column": column, "all": measured["recall@10"], **row}


def _weights(config: Configuration) -> dict[str, float]:
    """Of the losses that this version was trained with."""
    unused = () if config.train.compatible_with else ("compatible",)
    return {name: weight for name, weight in config.objective.weights.items() if name not in unused}


def _changed(config: Configuration) -> list[str]:
    return [
        f"{section}.{setting.key} = {setting.value}" if section != "run" else f"{setting.key} = {setting.value}"
        for section, settings in tables.settings(config)
        for setting in settings
        if setting.changed
    ]


def _last(curves: Path) -> dict[str, Any]:
    lines = [line for line in curves.read_text(encoding="utf-8").splitlines() if line.strip()]
    return json.loads(lines[-1]) if lines else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"The model card needs {path}, which is not there; run the pipeline again.") from None


def _environment() -> "Environment":
    """Every value is escaped: slices and paths come from users."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        finalize=lambda value: _escaped(value) if isinstance(value, str) else value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=lambda n: f"{n:,}",
        decimals=lambda value: "not measured" if value is None else f"{value:.3f}",
        percent=lambda share: "not measured" if share is None else f"{100 * share:.1f} %",
        gain=lambda share: "–" if share is None else f"{100 * share:+.1f} %".replace("-", "−"),
        label=lambda task: tables.LABELS.get(task, task),
    )
    return environment


def _escaped(text: str) -> str:
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\1", text)
