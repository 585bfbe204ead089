"""What the embedding features gain a ranker: trained offline, judged on features as they are served.

    python -m examples.ranking --home ranking/home --catalogue ranking/catalogue --out ranking/report

Prints the tables and writes results.json and gains.png. README.md says how to get such a home.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightgbm as lgb
import numpy as np
import pandas as pd

from examples.ranking.features import (
    EMBEDDING,
    IDS,
    STATISTICS,
    WORDS,
    SharedIds,
    SharedWords,
    historical,
    online,
    published_at,
    semantic_ids,
)
from examples.ranking.latency import CANDIDATES, latency
from examples.ranking.log import impressions, read_pins, read_saves
from examples.ranking.metrics import Bootstrap, K, by_user
from examples.ranking.plot import plot
from examples.ranking.ranker import fit, score
from serving.features import Features

if TYPE_CHECKING:
    from feast import FeatureStore

WITHOUT, WITH = "statistics, words", "with embeddings"  # the gain is of the second over the first
WITH_IDS, BOTH = "with semantic IDs", "with both"
RANKERS = {
    "statistics": STATISTICS,
    WITHOUT: STATISTICS + WORDS,
    WITH_IDS: STATISTICS + WORDS + IDS,
    WITH: STATISTICS + WORDS + EMBEDDING,
    BOTH: STATISTICS + WORDS + EMBEDDING + IDS,
}
GAINS = {"gain": (WITH, WITHOUT), "gain of IDs": (WITH_IDS, WITHOUT), "gain of IDs beside embeddings": (BOTH, WITH)}
SCOPES, FIGURES = ("all", "fresh"), {"ndcg": f"NDCG@{K}", "saves": f"saves@{K}"}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path(".pinclip"))
    parser.add_argument("--catalogue", type=Path, required=True, help="pins and boards, whose saves have times")
    parser.add_argument("--out", type=Path, default=Path("ranking-report"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--requests", type=int, default=100, help="of the latency's measurement")
    args = parser.parse_args(arguments)
    store = Features.of(args.home / "feast" / "feature_store.yaml").store
    pins, saves, published = read_pins(args.catalogue), read_saves(args.catalogue), published_at(store)
    shown = impressions(pins, saves, published, args.seed)
    history = saves[saves["saved_at"] <= published]
    words, ids = SharedWords(pins, history), SharedIds(semantic_ids(store, pins["pin_id"].tolist()), history)
    train, test = training_rows(store, words, ids, shown), served_rows(store, words, ids, shown)
    print(_counts(train, test), flush=True)
    rankers = {name: fit(train, features, args.seed) for name, features in RANKERS.items()}
    results = judged(rankers, test, args.seed)
    print(_table(results), flush=True)
    results["latency_ms"] = latency(store, words, rankers[WITH], test, args.requests)
    print(_latency_table(results["latency_ms"]))
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "results.json").write_text(json.dumps(results, indent=2), encoding="utf-8")
    plot(results, args.out / "gains.png")


def training_rows(store: "FeatureStore", words: SharedWords, ids: SharedIds, shown: pd.DataFrame) -> pd.DataFrame:
    rows = shown[shown["train"]].reset_index(drop=True)
    return pd.concat([rows, historical(store, rows), _shared(words, ids, rows)], axis=1)


def served_rows(store: "FeatureStore", words: SharedWords, ids: SharedIds, shown: pd.DataFrame) -> pd.DataFrame:
    """The lists to be judged, their features by the online store: a request a user."""
    rows, values = shown[~shown["train"]].reset_index(drop=True), []
    for user, asked in rows.groupby("user_id", sort=False):
        values.append(online(store, user, asked["pin_id"].tolist(), asked["shown_at"].iloc[0].to_pydatetime()))
    return pd.concat([rows, pd.concat(values, ignore_index=True), _shared(words, ids, rows)], axis=1)


def judged(rankers: Mapping[str, lgb.Booster], test: pd.DataFrame, seed: int) -> dict[str, Any]:
    """{scope: {"users": …, ranker: {figure: interval}, gain: {figure: interval}}}.

    Scope `fresh`: the fresh Pins of each list alone, of users who saved one of them.
    """
    scores, results = {name: score(ranker, test, RANKERS[name]) for name, ranker in rankers.items()}, {}
    for scope in SCOPES:
        asked = (test["fresh"] if scope == "fresh" else pd.Series(True, test.index)) & _has_saved(test, scope)
        figures = {name: by_user(test[asked], score[asked.to_numpy()]) for name, score in scores.items()}
        draws = Bootstrap(len(figures[WITH]), seed)
        found: dict[str, Any] = {"users": len(figures[WITH])}
        for name, table in figures.items():
            found[name] = {figure: draws.mean(table[figure].to_numpy()) for figure in FIGURES}
        for name, (ours, theirs) in GAINS.items():
            found[name] = {f: draws.gain(figures[ours][f].to_numpy(), figures[theirs][f].to_numpy()) for f in FIGURES}
        results[scope] = found
    return results


def _has_saved(test: pd.DataFrame, scope: str) -> pd.Series:
    saved = test["saved"] & (test["fresh"] | (scope == "all"))
    return saved.groupby(test["user_id"]).transform("any")


def _shared(words: SharedWords, ids: SharedIds, rows: pd.DataFrame) -> pd.DataFrame:
    lists = [(user, asked["pin_id"].tolist()) for user, asked in rows.groupby("user_id", sort=False)]
    shared = np.concatenate([words.of(user, pins) for user, pins in lists])
    begun = np.concatenate([ids.of(user, pins) for user, pins in lists])
    return pd.DataFrame(np.column_stack([shared, begun]), columns=WORDS + IDS)


def _counts(train: pd.DataFrame, test: pd.DataFrame) -> str:
    parts = [
        f"{name}: {rows['user_id'].nunique()} users, {len(rows):,} impressions, {rows['saved'].sum():,} saves"
        for name, rows in (("training", train), ("judging", test))
    ]
    return "; ".join(parts)


def _table(results: Mapping[str, Any]) -> str:
    lines = ["", "| Pins | figure | " + " | ".join([*RANKERS, *GAINS]) + " |"]
    lines.append("| --- " * 2 + "| ---: " * (len(RANKERS) + len(GAINS)) + "|")
    for scope in SCOPES:
        for figure, label in FIGURES.items():
            values = [_interval(results[scope][name][figure], "{:.3f}") for name in RANKERS]
            values += [_interval(results[scope][name][figure], "{:+.1%}") for name in GAINS]
            lines.append(f"| {scope} | {label} | {' | '.join(values)} |")
    users = ", ".join(f"{scope} {results[scope]['users']}" for scope in SCOPES)
    return "\n".join([*lines, "", f"95 % intervals, bootstrap over users in pairs; users: {users}."])


def _interval(found: Mapping[str, float], form: str) -> str:
    value, low, high = (form.format(found[name]) for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _latency_table(latency_ms: Mapping[str, Mapping[str, float]]) -> str:
    lines = [f"| {part} | {ms['p50']:.1f} | {ms['p99']:.1f} |" for part, ms in latency_ms.items()]
    return "\n".join([f"\n| {CANDIDATES} candidates, ms | p50 | p99 |", "| --- | ---: | ---: |", *lines])


if __name__ == "__main__":
    main()
