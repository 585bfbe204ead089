"""The only step of the sync pipeline: forgets whose consent was withdrawn, then lets the champion serve."""

from kfp import dsl

from components.container_image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def sync(promotion_config: dict, synced: dsl.Output[dsl.Artifact]) -> None:
    """`synced` is a file that says what was done (components/spaces/promote.py: Synced)."""
    from components.progress import advance, step

    with step("sync"):
        from pathlib import Path

        from components.configuration import Configuration
        from components.forgetting.withdrawn import forget_withdrawn
        from components.settings import Settings
        from components.spaces import promote

        config = Configuration.of(promotion=promotion_config)
        if proof := forget_withdrawn(Path.cwd(), Settings(), advance):
            advance(0.0, f"{proof.said} without consent are forgotten: {proof.file}")
        promote.sync(config.promotion, Settings(), advance).write(Path(synced.path))
