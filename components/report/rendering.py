"""Fills the page: reads what a run's steps left behind and writes report.html, plots/ and curves/.

out/report.html                   one file, opens anywhere, fetches nothing
out/plots/<chart>.svg             and .png: losses, slices, recall against bytes
out/curves/<run>.csv              pinclip and baseline_clip, for `dvc plots` and spreadsheets
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.configuration import Configuration
from components.decision import decision
from components.gate import Verdict, gate_verdict
from components.report import evaluation_charts, gallery, loss_curves, tables
from model.data.catalogue import Catalogue
from model.errors import RunError
from model.files import replaced, write_text

if TYPE_CHECKING:
    from jinja2 import Environment


def render_report(
    *,
    out: Path,
    evaluation: Path,
    comparison: Path,
    curves: Path,
    baseline_curves: Path,
    catalogue: Catalogue,
    neighbours: Path,
    validation: dict[str, Any],
    config: Configuration,
    timing_s: dict[str, float],
    version: int | None = None,
) -> Path:
    """Writes the report into `out` and returns the path of report.html.

    evaluation: folder that the evaluate step wrote; comparison: file that the compare step wrote;
    curves: curves.jsonl of either training run;
    catalogue: the one of a prepared/ folder, beside its summary.json; the numbers in neighbours/neighbours.parquet
    name its rows; validation: validation.json; version: of the registered model, None before there is one.

    Raises:
        RunError: a file of the run is missing.
    """
    metrics, examples = _json(evaluation / "metrics.json"), _json(evaluation / "examples.json")
    slices, study = _json(evaluation / "slices.json"), _json(evaluation / "quantization_study.json")
    compared = _json(comparison)
    verdict = gate_verdict(metrics, compared, config.gate)
    page = {
        **_headline(metrics, verdict, config, version),
        "decision": decision(metrics, compared, verdict),
        "comparison": compared,
        **_quantization(metrics),
        **_pictures(examples, catalogue, neighbours, config),
        **_charts(out, loss_curves.read_curves(curves), loss_curves.read_curves(baseline_curves), slices, study),
        "slices": slices,
        "targets": study["targets"],
        **_validation(validation, _json(Path(catalogue.root).parent / "summary.json")),
        "seconds": tables.step_seconds(timing_s),
        "total_s": sum(timing_s.values()),
        "settings": tables.settings(config),
    }
    write_text(out / "report.html", _environment().get_template("template.html.j2").render(page))
    return out / "report.html"


def _headline(metrics: dict[str, Any], verdict: Verdict, config: Configuration, version: int | None) -> dict[str, Any]:
    catalogue, model = metrics["catalogue"], metrics["model"]
    baseline = metrics.get("baseline_clip") or {}
    fresh = tables.tasks(metrics.get("fresh") or {}, baseline.get("fresh") or {}, catalogue)
    everything = tables.tasks(metrics, baseline, catalogue)
    on_fresh = tables.report_headline(fresh)
    return {
        "headline": on_fresh or tables.report_headline(everything),
        "headline_split": "fresh" if on_fresh else "all",
        "recall_fresh": fresh,
        "recall_all": everything,
        "verdict": verdict,
        "facts": [
            ("Pins", f"{catalogue['pins']:,}"),
            ("Boards", f"{catalogue['boards']:,}"),
            *([("Users", f"{catalogue['users']:,}")] if "users" in catalogue else []),
            ("Saved Pins", f"{catalogue['edges']:,}"),
            ("Catalogue digest", catalogue["digest"][:12]),
            ("Parameters", f"{model['parameters']:,}"),
            ("Profile", f"{config.profile}, seed {config.seed}"),
            ("Gate", verdict.said),
            *([("Model version", version)] if version else []),
        ],
    }


def _quantization(metrics: dict[str, Any]) -> dict[str, Any]:
    packed = metrics.get("quantization") or {}
    facts = [("Bits a dimension", packed.get("bits")), ("Bytes a Pin", packed.get("bytes_per_pin"))]
    facts += [("Scale", _significant(packed.get("scale"))), ("Zero point", packed.get("zero_point"))]
    return {"packing": [(k, v) for k, v in facts if v is not None], "retention": tables.retention(packed)}


def _validation(validation: dict[str, Any], summary: dict[str, Any]) -> dict[str, Any]:
    intake, refusals = tables.intake(summary)
    return {"validation": validation, "intake": intake, "refusals": refusals}


def _pictures(
    examples: dict[str, Any], catalogue: Catalogue, neighbours: Path, config: Configuration
) -> dict[str, Any]:
    examples = gallery.shown(examples)
    pin_ids = catalogue.read("pins", ["pin_id"])["pin_id"]
    sample = gallery.sample_neighbours(neighbours, pin_ids, config.seed)
    found = gallery.pictures(catalogue, gallery.shown_ids(examples, sample), config.prepare)
    return {
        "examples": [
            (tables.LABELS.get(task, task), [gallery.example(entry, found) for entry in entries])
            for task, entries in examples.items()
        ],
        "neighbourhoods": [gallery.neighbourhood(start, pairs, found) for start, pairs in sample.items()],
    }


def _charts(
    out: Path,
    ours: list[dict[str, Any]],
    clip: list[dict[str, Any]],
    slices: dict[str, Any],
    study: dict[str, Any],
) -> dict[str, list[loss_curves.Chart]]:
    with replaced(out / "curves") as folder:
        folder.mkdir(parents=True)
        for name, curves in zip(loss_curves.RUNS, (ours, clip), strict=True):
            loss_curves.write_curves(curves, folder / f"{name}.csv")
    with replaced(out / "plots") as folder:
        folder.mkdir(parents=True)
        return {
            "charts": loss_curves.loss_charts(ours, clip, folder),
            "slice_charts": evaluation_charts.slice_charts(slices, folder),
            "code_charts": evaluation_charts.code_charts(study, folder),
        }


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"The report needs {path}, which is not there; run the pipeline again.") from None


def _environment() -> "Environment":
    """Escapes everything: titles and queries come from users."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=lambda n: f"{n:,}",
        decimals=lambda value, places: "–" if value is None else f"{value:.{places}f}",
        percent=lambda share: "–" if share is None else f"{100 * share:.1f} %",
        label=lambda task: tables.LABELS.get(task, task),
        signed=lambda value: f"{value:+.3f}".replace("-", "−"),
        signed_percent=lambda share: f"{100 * share:+.1f} %".replace("-", "−"),
    )
    return environment


def _significant(value: float | None) -> str | None:
    return None if value is None else f"{value:.4g}"
