"""Compare: compares the model with the version that holds the alias `champion`, on the same fresh Pins."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT = {"comparison.json": "comparison"}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def compare(
    prepared: dsl.Input[dsl.Dataset],
    neighbours: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    vectors: dsl.Input[dsl.Dataset],
    seed: int,
    prepare_config: dict,
    quantization_config: dict,
    evaluation_config: dict,
    comparison: dsl.Output[dsl.Artifact],
) -> None:
    from components.progress import advance, step

    with step("compare"):
        from pathlib import Path

        from components.configuration import given
        from components.prepared_catalogue import prepared_folder
        from components.ray.parallel import spread
        from components.registry.champion import compare_with_champion
        from components.settings import Settings
        from model.config import Config
        from model.files import write_json
        from model.parallel import in_turn

        config = given(Config, locals())
        compared = compare_with_champion(
            prepared=prepared_folder(Path(prepared.path)),
            neighbours=Path(neighbours.path),
            model=Path(model.path),
            vectors=Path(vectors.path),
            work=Path(comparison.path).parent,
            config=config,
            settings=Settings(),
            report=advance,
            each=spread(in_turn, gpu=True),
        )
        write_json(Path(comparison.path), compared)
