"""Step 8, register: MLflow gets the run and a model version, with the gate's verdict; no alias moves yet."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def register(
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    validation: dsl.Input[dsl.Artifact],
    config: str,
    run: str,
    lineage: dict,
    version: dsl.Output[dsl.Artifact],
) -> None:
    from components.progress import step

    with step("register"):
        from pathlib import Path

        from components import registry
        from components.settings import Settings
        from model.config import Config

        registration = registry.register(
            run_id=run,
            model_folder=Path(model.path),
            evaluation=Path(evaluation.path),
            validation=Path(validation.path),
            config=Config.from_json(config),
            lineage=lineage,
            settings=Settings(),
        )
        registration.write(Path(version.path))
