"""How long it takes to score 500 candidates of one user, by part: read, on-demand functions, our words, the ranker."""

import gc
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from examples.ranking.features import EMBEDDING, SERVICE, STATISTICS, WORDS, SharedWords, online
from examples.ranking.ranker import score

if TYPE_CHECKING:
    from feast import FeatureStore

CANDIDATES, ROUNDS, WARMING = 500, 100, 5


def latency(
    store: "FeatureStore", words: SharedWords, ranker: lgb.Booster, shown: pd.DataFrame, rounds: int = ROUNDS
) -> dict[str, dict[str, float]]:
    """Milliseconds by part, p50 and p99 of `rounds` requests of random users and Pins."""
    rng, took = np.random.default_rng(0), dict[str, list[float]]()
    users, pins, now = shown["user_id"].unique(), shown["pin_id"].unique(), shown["shown_at"].iloc[0]
    for turn in range(WARMING + rounds):
        if turn == WARMING:
            _settle()
        pin_ids = rng.choice(pins, min(CANDIDATES, len(pins)), replace=False).tolist()
        request = _parts(store, words, ranker, str(rng.choice(users)), pin_ids, now.to_pydatetime())
        for part, run in request.items():
            started = time.perf_counter()
            run()
            if turn >= WARMING:
                took.setdefault(part, []).append(1e3 * (time.perf_counter() - started))
    return {part: {"p50": float(np.median(ms)), "p99": float(np.quantile(ms, 0.99))} for part, ms in took.items()}


def _settle() -> None:
    """As a service does once it has loaded. Else a full collection goes through all that the libraries have made,
    now and then, in the middle of a request.
    """
    gc.collect()
    gc.freeze()


def _parts(
    store: "FeatureStore", words: SharedWords, ranker: lgb.Booster, user: str, pin_ids: list[str], now: datetime
) -> dict[str, Callable[[], Any]]:
    """What has to be done for one request; the service does the first two in one call, which is measured as well."""
    service = store.get_feature_service(SERVICE)
    computed = {view.name: view for view in store.list_on_demand_feature_views()}
    projections = [p for p in service.feature_view_projections if p.name not in computed]
    stored = [f"{p.name}:{feature.name}" for p in projections for feature in p.features]
    entities = [{"user_id": user, "pin_id": pin_id} for pin_id in pin_ids]
    names = [p.name for p in service.feature_view_projections if p.name in computed]
    functions = [computed[name].feature_transformation.udf for name in names]
    values = store.get_online_features(stored, entities).to_dict() | {"asked_at": [now] * len(pin_ids)}
    rows = online(store, user, pin_ids, now).assign(shared_words=words.of(user, pin_ids))
    return {
        "feature read": lambda: store.get_online_features(stored, entities).to_dict(),
        "on-demand functions": lambda: [function(pd.DataFrame(values)) for function in functions],
        "our words": lambda: words.of(user, pin_ids),
        "ranker": lambda: score(ranker, rows, STATISTICS + WORDS + EMBEDDING),
        "read and functions, one call": lambda: online(store, user, pin_ids, now),
    }
