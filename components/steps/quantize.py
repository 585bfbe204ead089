"""Quantize: the vectors are validated, then one scale and one zero point turn them into bytes."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT = {"quantized": "quantized", "validation-vectors": "docs"}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def quantize(
    vectors: dsl.Input[dsl.Dataset],
    neighbours: dsl.Input[dsl.Dataset],
    seed: int,
    quantization_config: dict,
    quantized: dsl.Output[dsl.Dataset],
    docs: dsl.Output[dsl.HTML],
) -> None:
    from components.progress import step

    with step("quantize"):
        from pathlib import Path

        from components.configuration import given
        from model.config import Config
        from model.embedding import quantization
        from model.graph.neighbourhood import read_training
        from validation.checking import check_embeddings
        from validation.report import require

        require(check_embeddings(Path(vectors.path), Path(docs.path), int(vectors.metadata["pins"])))
        config = given(Config, locals())
        training = read_training(Path(neighbours.path))
        quantization.quantize(Path(vectors.path), training, Path(quantized.path), config)
