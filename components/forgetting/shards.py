"""Feast's offline shards: vectors of every space, published and pushed, and the log of statistics.

Folders of publications that were killed are looked through too. A manifest says how many Pins it was published with;
it learns of fewer before the shards lose them, for an index is refused where a shard holds fewer than it says.
"""

from dataclasses import replace

import pyarrow.parquet as pq

from components.forgetting.formats import parquet
from components.forgetting.pins import Pins
from components.forgetting.place import Counts
from components.forgetting.tree import look_into
from components.settings import Settings
from serving.space import SpaceManifest, published_manifests

PUSHED = "pushed-"


class Shards:
    name = "offline shards"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def find(self, pins: Pins) -> Counts:
        return self._each(pins, False)

    def erase(self, pins: Pins) -> Counts:
        for manifest in published_manifests(self.settings.home / "feast"):
            left = _published(manifest, pins)
            if left < manifest.pins:
                replace(manifest, pins=left).write()
        return self._each(pins, True)

    def _each(self, pins: Pins, erase: bool) -> Counts:
        home = self.settings.home
        return {str(path.relative_to(home)): n for path, n in look_into(home / "feast" / "offline", pins, erase)}


def _published(manifest: SpaceManifest, pins: Pins) -> int:
    """Pins of the publication that are not to be erased."""
    shards = [shard for shard in manifest.shards if not shard.name.startswith(PUSHED)]
    return sum(pq.read_metadata(shard).num_rows - parquet.look(shard, pins) for shard in shards)
