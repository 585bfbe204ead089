"""The sync pipeline, for a schedule: `pinclip sync` as the one step of a KFP pipeline (deploy/schedules.yaml)."""

from kfp import dsl

from components.steps.sync import sync as sync_step


@dsl.pipeline(name="pinclip-sync", description="What MLflow calls the champion becomes what serves.")
def sync(promotion_config: dict) -> None:
    """One look at MLflow's registry.

    Args:
        promotion_config: the section `promotion` of the settings.
    """
    sync_step(promotion_config=promotion_config).set_caching_options(
        False
    )  # the registry may say something else the next time
