"""Redis is told which spaces are published and which one serves: readers without Feast look there (client/).

Feast's registry alone decides; this is a copy, written again whole by whoever publishes, moves or removes a space.
"""

from typing import TYPE_CHECKING

from components.settings import Settings
from components.spaces.feature_store import writing
from components.spaces.published_spaces import serving_space
from serving.online import answering, redis
from serving.space import published_manifests

if TYPE_CHECKING:
    from feast import FeatureStore


def tell_spaces(store: "FeatureStore", settings: Settings) -> None:
    """
    Raises:
        StoreError: Redis does not answer.
    """
    if store.config.online_store.type != "redis":
        return
    with writing(store), answering(store):  # nobody moves `pin_ranking` meanwhile
        spaces = {manifest.name: manifest.fields for manifest in published_manifests(settings.home / "feast")}
        redis.tell_spaces(store, spaces, serving_space(settings))
