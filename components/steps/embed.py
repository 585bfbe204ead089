"""Embed: every Pin and every query through the trained model, into float32 vectors."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT = {"vectors": "vectors"}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def embed(
    prepared: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    extracted: dsl.Input[dsl.Dataset],
    vectors: dsl.Output[dsl.Dataset],
    baseline: bool = False,
) -> None:
    """`baseline`: of the two models the one that nobody will serve."""
    from components.progress import advance, step

    with step("embed-baseline" if baseline else "embed"):
        from pathlib import Path

        from components.prepared_catalogue import prepared_folder
        from components.ray.parallel import spread
        from model.embedding import embedder
        from model.parallel import in_turn

        folders = prepared_folder(Path(prepared.path)), Path(model.path), Path(vectors.path)
        spreading, kept = spread(in_turn, gpu=True), Path(extracted.path)
        vectors.metadata["pins"] = embedder.embed(*folders, advance, spreading, kept, held_out=not baseline)
