"""Brings everything of a space online: its vectors, their semantic IDs, and the statistics and tastes of its catalogue.

    the catalogue's statistics and tastes -> views registered -> rows online -> vectors read back

It can be repeated, also for a space that serves: only what is new changes what is served.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.spaces.feature_store import apply_objects, bring_online
from components.spaces.offline_rows import append_rows, shards
from components.spaces.semantic_ids import append_semantic_ids
from model.data.catalogue import TIME
from model.embedding.affine import Affine
from model.embedding.columns import as_binary
from model.errors import StoreError
from model.features.pin_stats import pin_stats
from model.features.tastes import likings, taste_table
from serving.rows import VectorRows, read_rows

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_repo.ranking_services import SpaceObjects

READ_BACK = 20_000  # Pins read back at most; a larger table is sampled evenly
BATCH = 1_000  # Pins of one online request
LOCK = "feast/publishing.lock"  # held by whoever brings a space up or retires one
Progress = Callable[[float, str], None]  # share done, what has been done


@dataclass(frozen=True)
class SaveHistory:
    """When the Pins of a space were made and saved, and who likes them, as its catalogue has it."""

    pins: pa.Table  # pin_id · created_at
    boards: pa.Table  # board_id · pin_id · saved_at
    likings: pa.Table  # model/features/tastes.py: LIKINGS
    half_life_days: float

    @staticmethod
    def of(pins: pa.Table, boards: pa.Table, preferences: pa.Table | None, half_life_days: float) -> "SaveHistory":
        """From the tables of a prepared catalogue."""
        saves = boards.select(["board_id", "pin_id", "saved_at"])
        return SaveHistory(pins, saves, likings(boards, preferences), half_life_days)

    def tastes(self, known: datetime, vectors: VectorRows, affine: Affine) -> pa.Table:
        """As they were at `known`: what has no time counts at once."""
        then = self.likings.filter(pc.fill_null(pc.less_equal(self.likings["time"], pa.scalar(known, TIME)), True))
        return taste_table(then, vectors.ids.cast(pa.string()), vectors.codes_NE, affine, self.half_life_days)


def materialize(
    store: "FeatureStore", space: "SpaceObjects", history: SaveHistory | None, report: Progress
) -> tuple[int, int]:
    """(rows of statistics and tastes that are new, vectors read back); without `history` those rows stay as they are.

    Raises:
        StoreError: a vector read back differs from its file.
    """
    changed = 0 if history is None else _append(space, history)
    append_semantic_ids(space)
    report(0.3, f"{changed} rows of statistics and tastes are new")
    apply_objects(store, [*space.shared, *space.views])
    for view in (*space.stored, space.stats):
        bring_online(store, view.name, space.rows(view), datetime.now(UTC))
    report(0.5, "vectors in the online store")
    checked = read_back(store, space)
    report(0.7, f"{checked} vectors read back, all equal")
    return changed, checked


def read_back(store: "FeatureStore", space: "SpaceObjects", most: int = READ_BACK) -> int:
    """Reads vectors as a ranker does and compares them with their files; returns how many.

    A vector that was pushed later than that of the file is right too.

    Raises:
        StoreError: one differs.
    """
    manifest, checked = space.manifest, 0
    stride = -(-sum(pq.read_metadata(shard).num_rows for shard in manifest.shards) // most)
    for shard in manifest.shards:
        rows = read_rows(shard, manifest.affine)
        for start in range(0, len(rows), BATCH * stride):
            some = rows.take(np.arange(start, min(start + BATCH * stride, len(rows)), stride))
            if (pin_id := _served_otherwise(store, space, some)) is not None:
                raise StoreError(
                    f"The vector that Feast serves for the Pin {pin_id!r} is not that of {shard}; nothing was "
                    f"switched: remove {manifest.file}, if it is there, and run this again."
                )
            checked += len(some)
    return checked


def _served_otherwise(store: "FeatureStore", space: "SpaceObjects", rows: VectorRows) -> str | None:
    """The first Pin whose served vector is neither that of its row nor newer."""
    ids, vectors = rows.ids.to_pylist(), as_binary(space.manifest.affine.pack(rows.codes_NE)).to_pylist()
    times = pa.array(rows.times_N).cast(TIME).to_pylist()
    for pin_id, vector, time, (served, known) in zip(ids, vectors, times, _served(store, space, ids), strict=True):
        if served != vector and not (served and known > time):
            return str(pin_id)
    return None


def _served(store: "FeatureStore", space: "SpaceObjects", ids: list[str]) -> list[tuple[bytes, datetime]]:
    """(vector, b"" where there is none; its time) of each Pin."""
    answer = store.get_online_features([f"{space.embedding.name}:vector"], {"pin_id": ids}).proto
    found = answer.results[list(answer.metadata.feature_names.val).index("vector")]
    times = (time.ToDatetime(UTC) for time in found.event_timestamps)
    return [(value.bytes_val, time) for value, time in zip(found.values, times, strict=True)]


def _append(space: "SpaceObjects", history: SaveHistory) -> int:
    """Statistics and tastes into their logs, from the version's creation on; how many rows are new."""
    created = space.manifest.created
    stats, tastes = space.rows(space.stats), space.rows(space.taste)
    times = {folder: datetime.now(UTC) if shards(folder) else created for folder in (stats, tastes)}
    appended = append_rows(stats, pin_stats(history.pins, history.boards, times[stats]), "pin_id", times[stats])
    rows = history.tastes(times[tastes], space.manifest.newest(), space.manifest.affine)
    rows = rows.append_column("event_timestamp", pa.repeat(pa.scalar(times[tastes], TIME), rows.num_rows))
    return appended + append_rows(tastes, rows, "user_id", times[tastes])
