"""Pins to forget that nobody had to name: consent withdrawn in a catalogue, or back from a backup in spite of a
tombstone.

A Pin that never had consent is in no space and is none of these: it may be given consent later, and has no tombstone.
"""

from collections.abc import Iterable
from pathlib import Path

import pyarrow.compute as pc

from components.forgetting.forget import Where, forget
from components.forgetting.proof import Proof
from components.retries import with_retries
from components.settings import Settings
from components.spaces.materialize import Progress
from components.spaces.offline_rows import shards
from components.tombstones import read_tombstones
from model.data.catalogue import Catalogue
from model.data.preparation import withheld
from model.data.reading import read_table
from serving.rows import read_ids
from serving.space import published_manifests, rows_folder

STATISTICS = "pin_stats"  # of Pins that a space had once


@with_retries
def forget_withdrawn(folder: Path, settings: Settings, report: Progress) -> Proof | None:
    """Before a sync: forgets them; None where there are none.

    Raises:
        CatalogueError, StoreError: see withdrawn() and forget().
    """
    where = Where.of(folder, [], [], settings)
    found = withdrawn(where.catalogues, settings)
    return forget(found, where, settings, report) if found else None


def withdrawn(catalogues: Iterable[Path], settings: Settings) -> list[str]:
    """Ids, in their order.

    Raises:
        CatalogueError: a catalogue cannot be read.
        StoreError: a manifest or the tombstones are damaged.
    """
    served, sources = _served(settings), [Catalogue(path) for path in catalogues]
    refused = {pin_id for source in sources for pin_id in withheld(source).to_pylist() if pin_id in served}
    tombstones = read_tombstones(settings)
    known = served.union(*(read_table(one, "pins", ["pin_id"])["pin_id"].to_pylist() for one in sources))
    back = {pin_id for pin_id in known if pin_id in tombstones} if tombstones else set()
    return sorted(refused | back)


def _served(settings: Settings) -> set[str]:
    """The Pins of all spaces, and those with statistics."""
    home = settings.home / "feast"
    ids = {pin_id for space in published_manifests(home) for pin_id in space.ids().to_pylist()}
    for shard in shards(rows_folder(home, STATISTICS)):
        ids.update(pc.unique(read_ids(shard)).to_pylist())
    return ids
