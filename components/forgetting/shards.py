"""Feast's offline shards: vectors of every space, published and pushed, and the log of statistics.

Folders of publications that were killed are looked through too. A manifest says how many Pins it was published with;
it learns of fewer before the shards lose them, for an index is refused where a shard holds fewer than it says; Redis's
copy of the manifests is written anew (spaces/told_spaces.py).
"""

from dataclasses import replace

import pyarrow.parquet as pq

from components.forgetting.formats import parquet
from components.forgetting.pins import Pins
from components.forgetting.place import Counts
from components.forgetting.tree import look_into
from components.settings import Settings
from components.spaces.feature_store import feast_errors, open_store
from components.spaces.told_spaces import tell_spaces
from serving.space import SpaceManifest, published_manifests

PUSHED = "pushed-"


class Shards:
    name = "offline shards"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def find(self, pins: Pins) -> Counts:
        return self._each(pins, False)

    def erase(self, pins: Pins) -> Counts:
        manifests = published_manifests(self.settings.home / "feast")
        for manifest in manifests:
            left = _published(manifest, pins)
            if left < manifest.pins:
                replace(manifest, pins=left).write()
        if manifests and self.settings.redis:
            with feast_errors(self.settings):
                tell_spaces(open_store(self.settings), self.settings)
        return self._each(pins, True)

    def _each(self, pins: Pins, erase: bool) -> Counts:
        home = self.settings.home
        return {str(path.relative_to(home)): n for path, n in look_into(home / "feast" / "offline", pins, erase)}


def _published(manifest: SpaceManifest, pins: Pins) -> int:
    """Pins of the publication that are not to be erased."""
    shards = [shard for shard in manifest.shards if not shard.name.startswith(PUSHED)]
    return sum(pq.read_metadata(shard).num_rows - parquet.look(shard, pins) for shard in shards)
