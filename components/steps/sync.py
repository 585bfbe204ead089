"""The only step of the sync pipeline: the version that MLflow calls the champion begins to serve."""

from kfp import dsl

from components.container_image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def sync(promotion_config: dict, synced: dsl.Output[dsl.Artifact]) -> None:
    """`synced` is a file that says what was done (components/spaces/promote.py: Synced)."""
    from components.progress import advance, step

    with step("sync"):
        from pathlib import Path

        from components.configuration import Configuration
        from components.settings import Settings
        from components.spaces import promote

        config = Configuration.of(promotion=promotion_config)
        promote.sync(config.promotion, Settings(), advance).write(Path(synced.path))
