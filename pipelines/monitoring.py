"""The monitoring pipeline: one look at the newest published space, at its catalogue and at what the store serves.

collect → measure → notify → retrain

Nothing is taken from a cache: each look sees the catalogue and the store as they are now.
"""

from kfp import dsl

from components.steps.collect import collect
from components.steps.measure import measure
from components.steps.notify import notify
from components.steps.retrain import retrain


@dsl.pipeline(name="pinclip-monitoring", description="Has the catalogue, or what is served of it, drifted?")
def monitoring(
    catalogue: str, lineage: dict, prepare_config: dict, monitoring_config: dict, config: str, deploy_profile: str = ""
) -> None:
    """One look.

    Args:
        catalogue: a folder that the first step can read.
        lineage: as of a training (pipelines/lineage.py).
        prepare_config, monitoring_config: sections of the settings.
        config: all settings as JSON, for the training that an alarm starts (components/configuration.py).
        deploy_profile: of the training that an alarm starts; empty: none is started here.
    """
    limits = {"monitoring_config": monitoring_config}
    seen = collect(catalogue=catalogue, lineage=lineage, prepare_config=prepare_config, **limits)
    seen.set_caching_options(False)
    found = measure(collected=seen.outputs["collected"], **limits).set_caching_options(False)
    told = notify(drift=found.outputs["drift"], **limits).set_caching_options(False)
    again = {"catalogue": catalogue, "config": config, "deploy_profile": deploy_profile}
    # After the notice, so that it is sent before the training begins.
    retrain(noticed=told.outputs["noticed"], **again).set_caching_options(False)
