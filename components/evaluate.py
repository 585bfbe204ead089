"""Step 7, evaluate: Recall@K of PinText, Related Pins and Search, of all and of fresh Pins, beside the baseline."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def evaluate(
    prepared: dsl.Input[dsl.Dataset],
    neighbours: dsl.Input[dsl.Dataset],
    vectors: dsl.Input[dsl.Dataset],
    baseline: dsl.Input[dsl.Dataset],
    quantized: dsl.Input[dsl.Dataset],
    config: str,
    evaluation: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """`evaluation` is the folder of metrics.json and examples.json; `metrics` shows its main figures in KFP's pages."""
    from components.progress import step

    with step("evaluate"):
        from pathlib import Path

        from model import evaluation as evaluations
        from model.config import Config

        evaluations.evaluate(
            prepared=Path(prepared.path),
            neighbours=Path(neighbours.path),
            vectors=Path(vectors.path),
            baseline=Path(baseline.path),
            quantized=Path(quantized.path),
            out=Path(evaluation.path),
            config=Config.from_json(config),
        )
