"""Collect (monitoring): a sample of today's catalogue through today's model, and what the store serves.

If nothing of the catalogue can be read, a notice is sent at once.
"""

from kfp import dsl

from components.container_image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def collect(
    catalogue: str, lineage: dict, prepare_config: dict, monitoring_config: dict, collected: dsl.Output[dsl.Dataset]
) -> None:
    from components.progress import advance, step

    with step("collect"):
        from pathlib import Path

        from components.configuration import Configuration
        from components.monitoring.catalogue_sample import collect
        from components.monitoring.notice import notify_unmeasurable
        from components.settings import Settings
        from model.errors import CatalogueError

        config = Configuration.of(prepare=prepare_config, monitoring=monitoring_config)
        settings = Settings()
        try:
            look = collect(Path(catalogue), config, Path(collected.path), settings, advance)
        except CatalogueError as error:  # the later steps, which would report it, never start
            advance(0.1, notify_unmeasurable(catalogue, error, config.monitoring, settings))
            raise
        collected.metadata.update(lineage | {"space": look["space"], "time": look["time"]})
