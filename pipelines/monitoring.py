"""The monitoring pipeline: one look at the newest published space, at its catalogue and at what the store serves.

collect → measure → notify → retrain

Nothing is taken from a cache: each look sees the catalogue and the store as they are now.
"""

from kfp import dsl

from components.monitoring.collect import collect
from components.monitoring.measure import measure
from components.monitoring.notify import notify
from pipelines.retrain import retrain


@dsl.pipeline(name="pinclip-monitoring", description="Has the catalogue, or what is served of it, drifted?")
def monitoring(catalogue: str, config: str, lineage: dict, deploy_profile: str = "") -> None:
    """One look.

    Args:
        catalogue: a folder that the first step can read.
        config: model.config.Config as JSON; its section `monitoring`, and all of it for a training.
        lineage: as of a training (pipelines/lineage.py).
        deploy_profile: of the training that an alarm starts; empty: none is started here.
    """
    seen = collect(catalogue=catalogue, config=config, lineage=lineage).set_caching_options(False)
    found = measure(collected=seen.outputs["collected"], config=config).set_caching_options(False)
    told = notify(drift=found.outputs["drift"], config=config).set_caching_options(False)
    again = {"catalogue": catalogue, "config": config, "deploy_profile": deploy_profile}
    # After the notice: whoever is called reads why before the training begins.
    retrain(noticed=told.outputs["noticed"], **again).set_caching_options(False)
