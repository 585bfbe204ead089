"""Writes new vectors into the online store through the PushSource of their space.

Shape legend: N Pins · B bytes of a vector
"""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from model.embedding.affine import Affine
from model.errors import ServerAway, StoreError
from serving.features import Features
from serving.online import answering, erase, limit_waiting
from serving.online.feast_bytes import entity_keys
from serving.rows import VectorRows
from serving.space import PIN_EMBEDDING

if TYPE_CHECKING:
    from feast import FeatureView

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KNOWN_S = 60.0  # that a view is taken to be there, as long as the registry's own cache


class OnlineStore(Protocol):
    def push(self, ids: Sequence[str], packed_NB: np.ndarray, times_N: np.ndarray) -> None:
        """The vectors can be read when it returns. times_N: microseconds since 1970; an id stands once.

        Raises:
            StoreError: nobody answers, or the space was retired.
        """
        ...

    def take_back(self, ids: Sequence[str], before: VectorRows, affine: Affine) -> bool:
        """After a push that failed or must not count: the store holds of these ids what it held before. False where it
        does not answer, so that this has to be done again."""
        ...


class Feast:
    """The store of <feast_home>/feature_store.yaml; one thread at a time.

    FeatureStore.push looks for the PushSource's view on every call and builds all objects of the registry anew for
    that, three times: ten times the work of the write. Here the view is looked for once a minute.
    """

    def __init__(self, feast_home: Path, space: str) -> None:
        self.store = Features.of(feast_home / "feature_store.yaml").store
        limit_waiting(self.store)
        self.source = f"{PIN_EMBEDDING}{space}_push"
        self._known: tuple[float, FeatureView] | None = None

    def push(self, ids: Sequence[str], packed_NB: np.ndarray, times_N: np.ndarray) -> None:
        with answering(self.store):
            self.store.provider.online_write_batch(
                self.store.config, self._view(), _rows(ids, packed_NB, times_N), None
            )

    def take_back(self, ids: Sequence[str], before: VectorRows, affine: Affine) -> bool:
        try:
            with answering(self.store):
                erase(self.store, [self._view().name], entity_keys("pin_id", list(ids)))
            if len(before):
                self.push(before.ids.to_pylist(), affine.pack(before.codes_NE), before.times_N)
        except ServerAway:
            return False
        except StoreError as error:  # the space was retired, or the store removes no single rows
            logging.getLogger("ray.serve").warning("%d Pins were refused and cannot be taken back: %s", len(ids), error)
        return True

    def _view(self) -> "FeatureView":
        if self._known is None or time.monotonic() - self._known[0] > KNOWN_S:
            views = self.store.list_feature_views(allow_cache=True)
            fed = [view for view in views if view.stream_source and view.stream_source.name == self.source]
            if not fed:
                raise StoreError(f"The space of {self.source} was retired; serve another.")
            self._known = time.monotonic(), fed[0]
        return self._known[1]


def _rows(ids: Sequence[str], packed_NB: np.ndarray, times_N: np.ndarray) -> list[Any]:
    """As Feast writes them: key, values, event_timestamp, created."""
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    times = [EPOCH + timedelta(microseconds=t) for t in times_N.tolist()]
    keys = [EntityKey(join_keys=["pin_id"], entity_values=[Value(string_val=pin_id)]) for pin_id in ids]
    values = [{"vector": Value(bytes_val=row.tobytes())} for row in packed_NB]
    return list(zip(keys, values, times, times, strict=True))
