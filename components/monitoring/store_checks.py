"""What the feature store serves of a space: who has no vector, how old the newest is, online against offline."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.settings import Settings
from components.spaces.feature_store import feast_errors, open_store, quiet
from components.spaces.offline_rows import shards
from components.spaces.skew import skew
from serving.rows import as_ids, joined, known_at, newest_time
from serving.space import PIN_EMBEDDING, PIN_RANKING, USER_TASTE, SpaceManifest, rows_folder

if TYPE_CHECKING:
    from feast import FeatureStore

AT_ONCE = 1_000  # Pins of one online request
NOBODY = "nobody has this id"


@dataclass(frozen=True)
class Published:
    """The vectors that a space was published with. Shape legend: N vectors · E vector dimension"""

    space: SpaceManifest
    pin_ids: pa.Array  # (N,)

    @staticmethod
    def of(space: SpaceManifest) -> "Published":
        # What was pushed or embedded since is of a later time.
        return Published(space, space.ids(known_at(space.created)))

    def vectors(self, pin_ids: Sequence[str]) -> np.ndarray:
        """float32 (len(pin_ids), E) as stored, in the order asked; every id was published."""
        wanted = known_at(self.space.created) & pc.field("pin_id").isin(pa.array(pin_ids, pa.string()))
        rows = joined(list(self.space.rows(wanted)))
        places = pc.index_in(as_ids(pin_ids), value_set=rows.ids).to_numpy()
        return self.space.affine.dequantize(rows.codes_NE[places])


@dataclass(frozen=True)
class OnlineSample:
    """What was found online, and when the newest vector was made."""

    asked: int
    without_vector: int
    pairs: int
    differing: dict[str, int]  # of the pairs, by feature
    newest_vector: str  # ISO 8601


def sample_online_store(
    pin_ids: Sequence[str], published: Published, pairs: int, settings: Settings, now: datetime
) -> OnlineSample:
    """Asks for the vectors of these Pins, and for all features of some pairs of a Pin and a user, twice.

    Raises:
        StoreError: Feast or Redis does not answer.
    """
    with feast_errors(settings), quiet():
        store, space = open_store(settings), published.space
        missing = _without_vector(store, f"{PIN_EMBEDDING}{space.name}", pin_ids)
        asked = _pairs(published.pin_ids, rows_folder(space.feast_home, f"{USER_TASTE}{space.name}"), pairs)
        differing = skew(store, f"{PIN_RANKING}{space.name}", asked, now)
    return OnlineSample(len(pin_ids), missing, len(asked), differing, newest_time(space.shards).isoformat())


def _without_vector(store: "FeatureStore", view: str, pin_ids: Sequence[str]) -> int:
    missing = 0
    for start in range(0, len(pin_ids), AT_ONCE):
        ids = list(pin_ids[start : start + AT_ONCE])
        missing += store.get_online_features([f"{view}:vector"], {"pin_id": ids}).to_dict()["vector"].count(None)
    return missing


def _pairs(pin_ids: pa.Array, users: Path, count: int) -> list[dict[str, str]]:
    """Drawn anew at every look. One Pin and one user do not exist; both stores must report them missing."""
    draw = random.Random()
    known = sorted({user for shard in shards(users) for user in pq.read_table(shard)["user_id"].to_pylist()})
    pins, people = [*pin_ids.to_pylist(), NOBODY], [*known, NOBODY]
    return [{"pin_id": draw.choice(pins), "user_id": draw.choice(people)} for _ in range(count)]
