"""Pins and users to forget that nobody had to name: consent withdrawn in a catalogue, or back from a backup in spite of
a tombstone.

A Pin that never had consent is in no space, a user in no tastes: they are none of these, may give consent later, and
have no tombstone.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.forgetting.forget import Where, forget
from components.forgetting.proof import Proof
from components.retries import with_retries
from components.settings import Settings
from components.spaces.materialize import Progress
from components.spaces.offline_rows import shards
from components.tombstones import read_tombstones
from model.data.board_titles import users_in
from model.data.catalogue import Catalogue
from model.data.forgotten import Forgotten, user_key
from model.data.preparation import withheld
from model.data.reading import read_table
from model.data.users import withheld_users
from serving.rows import read_ids
from serving.space import USER_TASTE, published_manifests, rows_folder

STATISTICS = "pin_stats"  # of Pins that a space had once


@with_retries
def forget_withdrawn(folder: Path, settings: Settings, report: Progress) -> Proof | None:
    """Before a sync: forgets them; None where there are none.

    Raises:
        CatalogueError, StoreError: see withdrawn() and forget().
    """
    where = Where.of(folder, [], [], settings)
    found = withdrawn(where.catalogues, settings)
    return forget(found.pins, where, settings, report, found.users) if found.pins or found.users else None


class Withdrawn(NamedTuple):
    """Ids, in their order."""

    pins: list[str]
    users: list[str]


def withdrawn(catalogues: Iterable[Path], settings: Settings) -> Withdrawn:
    """

    Raises:
        CatalogueError: a catalogue cannot be read.
        StoreError: a manifest or the tombstones are damaged.
    """
    served, sources = _served(settings), [Catalogue(path) for path in catalogues]
    refused = {pin_id for source in sources for pin_id in withheld(source).to_pylist() if pin_id in served}
    tombstones = read_tombstones(settings)
    known = served.union(*(read_table(one, "pins", ["pin_id"])["pin_id"].to_pylist() for one in sources))
    back = {pin_id for pin_id in known if pin_id in tombstones} if tombstones else set()
    return Withdrawn(sorted(refused | back), sorted(_users(sources, tombstones, settings)))


def _users(sources: list[Catalogue], tombstones: Forgotten, settings: Settings) -> set[str]:
    with_tastes = _with_tastes(settings)
    refused = {user for source in sources for user in withheld_users(source).to_pylist() if user in with_tastes}
    known = with_tastes.union(*map(users_in, sources)) if tombstones else set()
    return refused | {user for user in known if user_key(user) in tombstones}


def _with_tastes(settings: Settings) -> set[str]:
    """The users of all spaces."""
    home = settings.home / "feast"
    folders = (rows_folder(home, f"{USER_TASTE}{space.name}") for space in published_manifests(home))
    found = (pq.read_table(shard, columns=["user_id"])["user_id"] for folder in folders for shard in shards(folder))
    return {user for users in found for user in pc.unique(users).to_pylist()}


def _served(settings: Settings) -> set[str]:
    """The Pins of all spaces, and those with statistics."""
    home = settings.home / "feast"
    ids = {pin_id for space in published_manifests(home) for pin_id in space.ids().to_pylist()}
    for shard in shards(rows_folder(home, STATISTICS)):
        ids.update(pc.unique(read_ids(shard)).to_pylist())
    return ids
