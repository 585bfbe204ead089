"""New vectors into the online store, by the PushSource of their space. Shape legend: N Pins · B bytes of a vector"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from model.errors import StoreError

if TYPE_CHECKING:
    from feast import FeatureStore


class OnlineStore(Protocol):
    def push(self, ids: Sequence[str], packed_NB: np.ndarray, times_N: np.ndarray) -> None:
        """Readable when it returns. times_N: microseconds since 1970; an id stands once.

        Raises:
            StoreError: nobody answers, or the space was retired.
        """
        ...


class Feast:
    """The store of <feast_home>/feature_store.yaml; one thread at a time."""

    def __init__(self, feast_home: Path, space: str) -> None:
        self.store, self.source = open_store(feast_home), f"pin_embedding_{space}_push"

    def push(self, ids: Sequence[str], packed_NB: np.ndarray, times_N: np.ndarray) -> None:
        import pandas as pd
        from feast.errors import FeastError
        from redis.exceptions import RedisError

        times = pd.to_datetime(times_N, unit="us", utc=True)
        vectors = [row.tobytes() for row in packed_NB]
        rows = {"pin_id": list(ids), "vector": vectors, "event_timestamp": times, "created": times}
        try:
            self.store.push(self.source, pd.DataFrame(rows))
        except (RedisError, sqlite3.Error) as error:
            raise StoreError(
                f"The online store does not answer ({error}); see that it runs, then ask again."
            ) from error
        except FeastError as error:
            raise StoreError(f"The space of {self.source} takes no Pins any more ({error}); serve another.") from error


def open_store(feast_home: Path) -> "FeatureStore":
    from feast import FeatureStore

    configuration = feast_home / "feature_store.yaml"
    if not configuration.is_file():
        raise StoreError(f"There is no feature store at {configuration}; run the pipeline first, or set PINCLIP_HOME.")
    return FeatureStore(fs_yaml_file=configuration)
