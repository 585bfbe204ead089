"""Step 9, register: MLflow gets the run and a model version with its card and its verdict; no alias moves yet."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def register(
    prepared: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    comparison: dsl.Input[dsl.Artifact],
    validation: dsl.Input[dsl.Artifact],
    config: str,
    run: str,
    lineage: dict,
    version: dsl.Output[dsl.Artifact],
    card: dsl.Output[dsl.Markdown],
    verdict: dsl.Output[dsl.Metrics],
) -> None:
    """`verdict` shows in KFP's pages whether the gate let the version pass, why, and what serves now."""
    from components.progress import step

    with step("register"):
        from pathlib import Path

        from components import outcome, registry
        from components.model_card.card import model_card
        from components.settings import Settings
        from model.config import Config
        from model.files import write_text

        folder, judged, settings = Path(model.path), Path(evaluation.path), Config.from_json(config)
        page = model_card(
            run_id=run,
            prepared=Path(prepared.path),
            evaluation=judged,
            comparison=Path(comparison.path),
            model_folder=folder,
            config=settings,
            lineage=lineage,
        )
        write_text(Path(card.path), page)
        registration = registry.register(
            run_id=run,
            model_folder=folder,
            evaluation=judged,
            comparison=Path(comparison.path),
            validation=Path(validation.path),
            card=page,
            config=settings,
            lineage=lineage,
            settings=Settings(),
        )
        registration.write(Path(version.path))
        verdict.metadata.update(outcome.figures(registration, Settings()))
        outcome.tell_registered(registration, Settings())
