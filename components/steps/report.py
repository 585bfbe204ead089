"""Report: one HTML page of tables, curves and image grids. Before publishing, which is the last to fail."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT = {"report.html": "page", "plots": "charts/plots", "curves": "charts/curves"}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def report(
    prepared: dsl.Input[dsl.Dataset],
    neighbours: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    baseline: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    comparison: dsl.Input[dsl.Artifact],
    validation: dsl.Input[dsl.Artifact],
    version: dsl.Input[dsl.Artifact],
    profile: str,
    seed: int,
    prepare_config: dict,
    split_config: dict,
    graph_config: dict,
    vision_config: dict,
    text_config: dict,
    fusion_config: dict,
    objective_config: dict,
    train_config: dict,
    quantization_config: dict,
    evaluation_config: dict,
    gate_config: dict,
    page: dsl.Output[dsl.HTML],
    charts: dsl.Output[dsl.Artifact],
) -> None:
    """`charts` is a folder: plots/ and curves/. All of it is in the MLflow run too, where a reviewer looks."""
    from components.progress import step, timings

    with step("report"):
        import json
        from pathlib import Path

        from components.configuration import Configuration, given
        from components.prepared_catalogue import prepared_folder
        from components.registry.tracking import log_report
        from components.registry.versions import Registration
        from components.report.rendering import render_report
        from components.settings import Settings
        from model.data.catalogue import Catalogue

        config = given(Configuration, locals())
        registration = Registration.read(Path(version.path))
        written = render_report(
            out=Path(charts.path),
            evaluation=Path(evaluation.path),
            comparison=Path(comparison.path),
            curves=Path(model.path) / "curves.jsonl",
            baseline_curves=Path(baseline.path) / "curves.jsonl",
            catalogue=Catalogue(prepared_folder(Path(prepared.path)) / "catalogue"),
            neighbours=Path(neighbours.path),
            validation=json.loads(Path(validation.path).read_text(encoding="utf-8")),
            config=config,
            timing_s=timings(),
            version=registration.version,
        )
        log_report(registration.mlflow_run_id, Path(charts.path), Settings())
        written.replace(page.path)
