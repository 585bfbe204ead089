"""The one step of the sync pipeline: what MLflow calls the champion becomes what serves."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def sync(config: str, synced: dsl.Output[dsl.Artifact]) -> None:
    """`synced` is a file that says what was done (components/promotion/syncing.py: Synced)."""
    from components.progress import advance, step

    with step("sync"):
        from pathlib import Path

        from components.promotion import syncing
        from components.settings import Settings
        from model.config import Config

        syncing.sync(Config.from_json(config).promotion, Settings(), advance).write(Path(synced.path))
