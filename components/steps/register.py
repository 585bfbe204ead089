"""Register: MLflow gets the run and a model version with its card and its verdict; no alias moves yet."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT = {"model_card.md": "card", "version.json": "version"}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def register(
    prepared: dsl.Input[dsl.Dataset],
    model: dsl.Input[dsl.Model],
    evaluation: dsl.Input[dsl.Artifact],
    comparison: dsl.Input[dsl.Artifact],
    validation: dsl.Input[dsl.Artifact],
    run: str,
    lineage: dict,
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
    version: dsl.Output[dsl.Artifact],
    card: dsl.Output[dsl.Markdown],
    verdict: dsl.Output[dsl.Metrics],
) -> None:
    """`verdict` shows in KFP's pages whether the gate let the version pass, why, and what serves now."""
    from components.progress import step

    with step("register"):
        from pathlib import Path

        from components.configuration import Configuration, given
        from components.model_card.card import model_card
        from components.prepared_catalogue import prepared_folder
        from components.registry import versions
        from components.settings import Settings
        from components.spaces import verdict_log
        from model.files import write_text

        config = given(Configuration, locals())
        folder, judged = Path(model.path), Path(evaluation.path)
        page = model_card(
            run_id=run,
            prepared=prepared_folder(Path(prepared.path)),
            evaluation=judged,
            comparison=Path(comparison.path),
            model_folder=folder,
            config=config,
            lineage=lineage,
        )
        write_text(Path(card.path), page)
        registration = versions.register(
            run_id=run,
            model_folder=folder,
            evaluation=judged,
            comparison=Path(comparison.path),
            validation=Path(validation.path),
            card=page,
            config=config,
            lineage=lineage,
            settings=Settings(),
        )
        registration.write(Path(version.path))
        verdict.metadata.update(verdict_log.verdict_metrics(registration, Settings()))
        verdict_log.log_registration(registration, Settings())
