"""Training–serving skew: compares every feature's offline value, as a training set gets it, with the online one, bit by
bit.

skew(store, "pin_ranking", entities, now)   ->  {"pin_stats__saves": 0, …}   rows that differ, by feature
"""

import math
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feast import FeatureStore


def skew(
    store: "FeatureStore", service_name: str, entities: Sequence[Mapping[str, str]], now: datetime
) -> dict[str, int]:
    """Rows of `entities` (pin_id, user_id) whose values differ, for every feature of the service as `view__feature`."""
    import pandas as pd

    service = store.get_feature_service(service_name)
    rows = [{**entity, "asked_at": now} for entity in entities]
    asked = pd.DataFrame(rows).assign(event_timestamp=now, row=range(len(rows)))
    # By short names: online, Feast 0.67 leaves out what is computed on demand when it is asked for full ones.
    offline = store.get_historical_features(asked, service).to_arrow().sort_by("row").to_pydict()
    online = store.get_online_features(service, rows).to_dict()
    names = {
        f"{view.name}__{feature.name}": feature.name
        for view in service.feature_view_projections
        for feature in view.features
    }
    return {full: _different(offline[name], online[name]) for full, name in names.items()}


def _different(offline: Sequence[Any], online: Sequence[Any]) -> int:
    return sum(_bits(left) != _bits(right) for left, right in zip(offline, online, strict=True))


def _bits(value: Any) -> object:
    """The plain Python value of an Arrow or protobuf value: a float as the 32 bits that are served, NaN as missing."""
    if isinstance(value, list):
        return [_bits(one) for one in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, float):
        return None if math.isnan(value) else struct.pack("<f", value)
    return value
