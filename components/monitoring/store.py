"""What the feature store serves of a space: who has no vector, how old the newest is, online against offline."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.feature_log import shards
from components.feature_store import feast_errors, feature_definitions, open_store, quiet
from components.settings import Settings
from components.skew import skew
from model.affine import Affine
from model.catalogue import TIME

if TYPE_CHECKING:
    from feast import FeatureStore

AT_ONCE = 1_000  # Pins of one online request
NOBODY = "nobody has this id"


@dataclass(frozen=True)
class Published:
    """The vectors that a space was published with. Shape legend: N vectors · E vector dimension"""

    shards: Sequence[Path]
    pin_ids: pa.Array  # (N,)
    affine: Affine
    created: datetime

    @staticmethod
    def of(manifest: Mapping[str, Any], settings: Settings) -> "Published":
        created = datetime.fromisoformat(manifest["created"])
        files = shards(_rows_folder(settings, f"pin_embedding_{manifest['space']}"))
        # What was pushed or embedded since is of a later time.
        parts = [pq.read_table(f, columns=["pin_id"], filters=_as_published(created)) for f in files]
        affine = Affine(*(manifest[name] for name in ("scale", "zero_point", "bits", "dim")))
        return Published(files, pa.concat_tables(parts)["pin_id"].combine_chunks(), affine, created)

    def vectors(self, pin_ids: Sequence[str]) -> np.ndarray:
        """float32 (len(pin_ids), E) as stored, in the order asked; every id was published."""
        wanted = _as_published(self.created) & pc.field("pin_id").isin(pa.array(pin_ids, pa.string()))
        rows = pa.concat_tables(pq.read_table(f, columns=["pin_id", "vector"], filters=wanted) for f in self.shards)
        rows = rows.take(pc.index_in(pa.array(pin_ids, pa.string()), value_set=rows["pin_id"].combine_chunks()))
        packed = np.frombuffer(b"".join(rows["vector"].to_pylist()), np.uint8)
        return self.affine.dequantize(self.affine.unpack(packed.reshape(-1, self.affine.bytes_per_pin)))


@dataclass(frozen=True)
class Served:
    """What was found online, and when the newest vector was made."""

    asked: int
    without_vector: int
    pairs: int
    differing: dict[str, int]  # of the pairs, by feature
    newest_vector: str  # ISO 8601


def look_online(
    space: str, pin_ids: Sequence[str], published: Published, pairs: int, settings: Settings, now: datetime
) -> Served:
    """Asks for the vectors of these Pins, and for all features of some pairs of a Pin and a user, twice.

    Raises:
        StoreError: Feast or Redis does not answer.
    """
    with feast_errors(settings), quiet():
        store = open_store(settings)
        missing = _without_vector(store, f"pin_embedding_{space}", pin_ids)
        asked = _pairs(published.pin_ids, _rows_folder(settings, f"user_taste_{space}"), pairs)
        differing = skew(store, f"pin_ranking_{space}", asked, now)
    return Served(len(pin_ids), missing, len(asked), differing, _newest(published.shards).isoformat())


def _without_vector(store: "FeatureStore", view: str, pin_ids: Sequence[str]) -> int:
    missing = 0
    for start in range(0, len(pin_ids), AT_ONCE):
        ids = list(pin_ids[start : start + AT_ONCE])
        missing += store.get_online_features([f"{view}:vector"], {"pin_id": ids}).to_dict()["vector"].count(None)
    return missing


def _pairs(pin_ids: pa.Array, users: Path, count: int) -> list[dict[str, str]]:
    """Drawn anew at every look; one Pin and one user are made up, and have to be missing on both sides."""
    draw = random.Random()
    known = sorted({user for shard in shards(users) for user in pq.read_table(shard)["user_id"].to_pylist()})
    pins, people = [*pin_ids.to_pylist(), NOBODY], [*known, NOBODY]
    return [{"pin_id": draw.choice(pins), "user_id": draw.choice(people)} for _ in range(count)]


def _newest(files: Sequence[Path]) -> datetime:
    newest = [pc.max(pq.read_table(file, columns=["event_timestamp"])["event_timestamp"]).as_py() for file in files]
    return max(time.astimezone(UTC) for time in newest if time)


def _rows_folder(settings: Settings, view: str) -> Path:
    return feature_definitions().rows_folder(settings.home / "feast", view)


def _as_published(created: datetime) -> pc.Expression:
    return pc.field("event_timestamp") == pa.scalar(created, TIME)
