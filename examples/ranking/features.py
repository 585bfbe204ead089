"""Features of impressions: most by Feast's service `pin_ranking`, others of our own from words and semantic IDs.

    historical(store, shown)        as they were when each Pin was shown, to train on
    online(store, user, pins, now)  as they are served

Both give the columns STATISTICS and EMBEDDING, a row an impression, in order.
"""

import math
import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from feast import FeatureStore

SERVICE = "pin_ranking"
STATISTICS = ["saves", "boards", "age_days"]
WORDS = ["shared_words"]
EMBEDDING = ["nearest_taste", "mean_taste"]
IDS = ["shared_id_1", "shared_id_2", "shared_id_3"]
AT_ONCE = 1_000  # Pins of one request


def published_at(store: "FeatureStore") -> datetime:
    """When the features of the service became known."""
    space = store.get_feature_service(SERVICE).tags["space"]
    return datetime.fromisoformat(store.get_feature_view(f"pin_embedding_{space}").tags["created"])


def historical(store: "FeatureStore", shown: pd.DataFrame) -> pd.DataFrame:
    """Point-in-time: nothing of a row was known later than its shown_at."""
    service = store.get_feature_service(SERVICE)
    rows = shown[["user_id", "pin_id", "shown_at"]].rename(columns={"shown_at": "event_timestamp"})
    rows = rows.assign(asked_at=rows["event_timestamp"], row_id=range(len(rows)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Feast's libraries, on every call
        found = store.get_historical_features(rows, service).to_df().sort_values("row_id", ignore_index=True)
    return found[STATISTICS + EMBEDDING].astype(np.float64)


def online(store: "FeatureStore", user_id: str, pin_ids: Sequence[str], now: datetime) -> pd.DataFrame:
    rows = [{"user_id": user_id, "pin_id": pin_id, "asked_at": now} for pin_id in pin_ids]
    values = store.get_online_features(store.get_feature_service(SERVICE), rows).to_dict()
    return pd.DataFrame({name: values[name] for name in STATISTICS + EMBEDDING}, dtype=np.float64)


class SharedWords:
    """What a team without vectors would do: words of the Pin that stand on the Pins its user saved before.

    A word counts by how rare it is (idf) times the share of the user's saved Pins that have it; the feature is the sum
    over the Pin's words.
    """

    def __init__(self, pins: pd.DataFrame, history: pd.DataFrame) -> None:
        texts = zip(pins["pin_id"], pins["title"], pins["annotations"], strict=True)
        self.words = {pin_id: _words(title, annotations) for pin_id, title, annotations in texts}
        uses = Counter(word for words in self.words.values() for word in words)
        self.rarity = {word: math.log(len(pins) / count) for word, count in uses.items()}
        self.share = {user: self._shares(saved) for user, saved in history.groupby("user_id")["pin_id"]}

    def of(self, user_id: str, pin_ids: Sequence[str]) -> list[float]:
        share = self.share.get(user_id, {})
        return [sum(self.rarity[word] * share.get(word, 0.0) for word in self.words[pin]) for pin in pin_ids]

    def _shares(self, saved: pd.Series) -> dict[str, float]:
        uses = Counter(word for pin in saved for word in self.words[pin])
        return {word: count / len(saved) for word, count in uses.items()}


class SharedIds:
    """What a ranker can make of semantic IDs: shares of the user's saved Pins whose ID begins with the same one, two,
    three codes as the Pin's. Zeros for a Pin without an ID."""

    def __init__(self, codes: Mapping[str, Sequence[int]], history: pd.DataFrame) -> None:
        """codes: of semantic_ids()."""
        self.begins = {pin_id: [tuple(code[:level]) for level in (1, 2, 3)] for pin_id, code in codes.items()}
        self.share = {user: self._shares(saved) for user, saved in history.groupby("user_id")["pin_id"]}

    def of(self, user_id: str, pin_ids: Sequence[str]) -> list[list[float]]:
        share = self.share.get(user_id, {})
        return [[share.get(one, 0.0) for one in self.begins.get(pin, [()] * len(IDS))] for pin in pin_ids]

    def _shares(self, saved: pd.Series) -> dict[tuple[int, ...], float]:
        uses = Counter(one for pin in saved for one in self.begins.get(pin, ()))
        return {one: count / len(saved) for one, count in uses.items()}


def semantic_ids(store: "FeatureStore", pin_ids: Sequence[str]) -> dict[str, list[int]]:
    """The ID of each Pin that has one, coarse to fine, in the space of the service."""
    name, found = f"pin_semantic_ids_{store.get_feature_service(SERVICE).tags['space']}", dict[str, list[int]]()
    services = [service for service in store.list_feature_services() if service.name == name]  # a small space has none
    for start in range(0, len(pin_ids) if services else 0, AT_ONCE):
        asked = [{"pin_id": pin_id} for pin_id in pin_ids[start : start + AT_ONCE]]
        values = store.get_online_features(services[0], asked).to_dict()
        found.update((pin, codes) for pin, codes in zip(values["pin_id"], values["codes"], strict=True) if codes)
    return found


def _words(title: str | None, annotations: Sequence[str] | None) -> set[str]:
    texts = [title, *(annotations if isinstance(annotations, Sequence | np.ndarray) else [])]
    return set(re.findall(r"[^\W_]+", " ".join(text for text in texts if isinstance(text, str)).casefold()))
