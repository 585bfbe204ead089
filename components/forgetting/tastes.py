"""Tastes: users who like the Pins get what else they like gives, in the log of every space and online; those who are
to be forgotten lose theirs.

Each row of the log is reckoned again as of its own time, so that training sets of the past lose the Pins too. A user
who likes nothing else loses the row. Where the catalogue of a space is gone, nobody knows who likes what: a user whose
tastes hold the very vector of a Pin loses the row until the next sync.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.forgetting.pins import Pins
from components.forgetting.place import Counts
from components.registry.artifacts import model_folder
from components.settings import Settings
from components.spaces.embed_missing import save_history
from components.spaces.feature_store import feast_errors, open_store, quiet
from components.spaces.materialize import SaveHistory
from components.spaces.offline_rows import CREATED, KNOWN, newest, read_appended, shards
from components.tombstones import source_catalogue
from model.config.folder import read_config
from model.data.catalogue import BOARDS, PINS, TIME, Catalogue, owners
from model.data.reading import read_table
from model.features.tastes import LIKINGS
from model.files import remove, replaced
from serving.online import answering, erase, write_newer
from serving.online.feast_bytes import entity_keys
from serving.rows import joined, newest_each
from serving.space import USER_TASTE, SpaceManifest, published_manifests, rows_folder

USER = "user_id"


@dataclass(frozen=True)
class Correction:
    """A shard of the log whose rows of some users are no longer right."""

    shard: Path
    rows: pa.Table  # what the shard should hold
    users: frozenset[str]  # whose rows differ
    count: int


class Tastes:
    name = "tastes"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def find(self, pins: Pins) -> Counts:
        return {key: count for space in self._spaces() for key, count in self._counts(space, pins)}

    def erase(self, pins: Pins) -> Counts:
        counts: dict[str, int] = {}
        for space in self._spaces():
            corrections = list(_corrections(space, pins, self.settings))
            users = frozenset[str]().union(*(one.users for one in corrections))
            if users:  # online first: after a kill the log still tells whose rows are wrong
                self._bring_online(space, corrections, users)
            for one in corrections:
                if one.count:
                    _write(one)
                counts[_spot(one.shard, self.settings)] = one.count
        return counts

    def _counts(self, space: SpaceManifest, pins: Pins) -> Iterator[tuple[str, int]]:
        for one in _corrections(space, pins, self.settings):
            yield _spot(one.shard, self.settings), one.count

    def _spaces(self) -> list[SpaceManifest]:
        return published_manifests(self.settings.home / "feast")

    def _bring_online(self, space: SpaceManifest, corrections: list[Correction], users: frozenset[str]) -> None:
        with feast_errors(self.settings), quiet():
            store, view = open_store(self.settings), f"{USER_TASTE}{space.name}"
            rows = newest(pa.concat_tables([one.rows for one in corrections]), USER)
            rows = rows.filter(pc.is_in(rows[USER], value_set=pa.array(sorted(users))))
            with answering(store):
                erase(store, [view], entity_keys(USER, sorted(users)))
                if rows.num_rows:
                    write_newer(store, store.get_feature_view(view), rows)


def _corrections(space: SpaceManifest, pins: Pins, settings: Settings) -> Iterator[Correction]:
    """One for each shard of the space's log."""
    left, holders = _left(space, pins, settings), _vectors_of(space, pins)
    for shard in shards(rows_folder(space.feast_home, f"{USER_TASTE}{space.name}")):
        rows = read_appended(shard)
        mine = pc.is_in(rows[USER], value_set=pa.array([*left.users, *pins.users], pa.string()))
        if left.history is None:
            held = [_holds(medoids, holders) for medoids in rows["medoids"].to_pylist()]
            mine = pc.or_(mine, pa.array(held, pa.bool_()))
        old = rows.filter(mine)
        new = old.slice(0, 0) if left.history is None else _reckoned(space, left.history, pins, old)
        differing = _differing(old, new)
        merged = pa.concat_tables([rows.filter(pc.invert(mine)), new]).sort_by(USER) if differing else rows
        yield Correction(shard, merged, differing, len(differing))


@dataclass(frozen=True)
class Left:
    users: list[str]  # who like one of the Pins
    history: SaveHistory | None  # what these like without the Pins; None: the catalogue is gone


def _left(space: SpaceManifest, pins: Pins, settings: Settings) -> Left:
    path = Path(space.lineage.get("catalogue", ""))
    if not (path / "pins").is_dir():
        return Left([], None)
    source, wanted = Catalogue(path), pa.array(pins.ids, pa.string())
    boards = read_table(source, "boards", ["board_id", "pin_id", "user_id"])
    others = read_table(source, "preferences", ["user_id", "pin_id"])
    likes = pa.table({USER: owners(boards), "pin_id": boards["pin_id"]}), others
    found = (rows.filter(pc.is_in(rows["pin_id"], value_set=wanted))[USER].to_pylist() for rows in likes)
    users = sorted({user for some in found for user in some if user} - pins.user_set)
    history = SaveHistory(PINS.empty_table(), BOARDS.empty_table(), LIKINGS.empty_table(), 1.0)
    if users:
        config = read_config(model_folder(space.model, settings))
        whole = save_history(space, source_catalogue(path, settings), config)
        theirs = pc.is_in(whole.likings[USER], value_set=pa.array(users, pa.string()))
        history = replace(whole, likings=whole.likings.filter(theirs))
    return Left(users, history)


def _reckoned(space: SpaceManifest, history: SaveHistory, pins: Pins, old: pa.Table) -> pa.Table:
    """The rows `old` as they would be without the Pins, each as of its time."""
    parts = [old.slice(0, 0)]
    for time in pc.unique(old[KNOWN]).to_pylist():
        known = pa.scalar(time, TIME)
        then = list(space.rows(pc.field("event_timestamp") <= known))
        vectors = newest_each(joined(then))
        vectors = vectors.take(np.flatnonzero(~np.isin(vectors.ids.to_numpy(zero_copy_only=False), pins.ids)))
        table = history.tastes(time, vectors, space.affine)
        at_time = old.filter(pc.equal(old[KNOWN], known))
        place = pc.index_in(at_time[USER], value_set=table[USER].combine_chunks())
        table, at_time = table.take(place.drop_null()), at_time.filter(pc.is_valid(place))
        parts.append(table.append_column(KNOWN, at_time[KNOWN]).append_column(CREATED, at_time[CREATED]))
    return pa.concat_tables([part.cast(old.schema) for part in parts])


def _differing(old: pa.Table, new: pa.Table) -> frozenset[str]:
    def by_key(rows: pa.Table) -> dict[tuple[object, ...], object]:
        return {(row[USER], row[KNOWN]): (row["medoids"], row["weights"]) for row in rows.to_pylist()}

    before, after = by_key(old), by_key(new)
    return frozenset(str(key[0]) for key, value in before.items() if after.get(key) != value)


def _vectors_of(space: SpaceManifest, pins: Pins) -> set[bytes]:
    rows = joined(list(space.rows(pc.field("pin_id").isin(pa.array(pins.ids, pa.string())))))
    return {row.tobytes() for row in space.affine.pack(rows.codes_NE)} if len(rows) else set()


def _holds(medoids: bytes, vectors: set[bytes]) -> bool:
    size = len(next(iter(vectors), b"")) or 1
    return any(medoids[i : i + size] in vectors for i in range(0, len(medoids), size))


def _write(one: Correction) -> None:
    if not one.rows.num_rows:
        remove(one.shard)
        return
    with replaced(one.shard) as scratch:
        pq.write_table(one.rows, scratch)


def _spot(shard: Path, settings: Settings) -> str:
    return str(shard.relative_to(settings.home))
