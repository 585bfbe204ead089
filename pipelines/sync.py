"""The sync pipeline, for a schedule: `pinclip sync` as the one step of a KFP pipeline (deploy/schedules.yaml)."""

from kfp import dsl

from components.sync import sync as sync_step


@dsl.pipeline(name="pinclip-sync", description="What MLflow calls the champion becomes what serves.")
def sync(config: str) -> None:
    """One look at MLflow's registry.

    Args:
        config: model.config.Config as JSON; its section `promotion` counts.
    """
    sync_step(config=config).set_caching_options(False)  # the registry may say something else the next time
