"""Evaluate: Recall@K of PinText, Related Pins and Search, of all and of fresh Pins, beside the baseline."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT = {f"{name}.json": f"evaluation/{name}.json" for name in ("metrics", "examples", "slices", "quantization_study")}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate(
    prepared: dsl.Input[dsl.Dataset],
    neighbours: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    vectors: dsl.Input[dsl.Dataset],
    baseline: dsl.Input[dsl.Dataset],
    quantized: dsl.Input[dsl.Dataset],
    seed: int,
    quantization_config: dict,
    evaluation_config: dict,
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """`evaluation` is the folder of metrics.json and examples.json; `metrics` shows its main figures in KFP's pages."""
    from components.progress import advance, step

    with step("evaluate"):
        from pathlib import Path

        from components.configuration import given
        from components.prepared_catalogue import prepared_folder
        from model.config import Config
        from model.evaluation import evaluate as library

        figures = library.evaluate(
            prepared=prepared_folder(Path(prepared.path)),
            neighbours=Path(neighbours.path),
            model=Path(model.path),
            vectors=Path(vectors.path),
            baseline=Path(baseline.path),
            quantized=Path(quantized.path),
            out=Path(evaluation.path),
            config=given(Config, locals()),
            report=advance,
        )
        for task in ("related_pins", "search"):
            for name, value in (figures["fresh"][task] or {}).items():
                metrics.log_metric(f"fresh_{task}_{name}", value)
