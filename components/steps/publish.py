"""Publish: makes the vectors Feast features in the version's own space; then moves the alias `challenger`."""

from kfp import dsl

from components.container_image import IMAGE

# In a run's folder on one machine: place -> the output of this step that is moved there.
KEPT = {"publication.json": "published"}


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def publish(
    quantized: dsl.Input[dsl.Dataset],
    prepared: dsl.Input[dsl.Dataset],
    version: dsl.Input[dsl.Artifact],
    lineage: dict,
    prepare_config: dict,
    published: dsl.Output[dsl.Artifact],
) -> None:
    from components.progress import advance, step

    with step("publish"):
        from pathlib import Path

        from components.configuration import given
        from components.prepared_catalogue import prepared_folder
        from components.registry.versions import Registration
        from components.settings import Settings
        from components.spaces import publish, verdict_log
        from model.config import Config

        registration = Registration.read(Path(version.path))
        folders = Path(quantized.path), prepared_folder(Path(prepared.path))
        config = given(Config, locals()).prepare
        publication = publish.publish(*folders, registration, lineage, Settings(), advance, config)
        publication.write(Path(published.path))
        verdict_log.log_publication(registration, publication, Settings())
