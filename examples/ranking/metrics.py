"""NDCG@10 and saves@10 of a ranking, and 95 % intervals of them and of gains: bootstrap over users, in pairs.

Shape legend: U users · A rankers · D draws
"""

import numpy as np
import pandas as pd

K, DRAWS = 10, 2_000


def by_user(rows: pd.DataFrame, score: np.ndarray) -> pd.DataFrame:
    """ndcg and saves at K of each user's list (user_id, saved), by user; equal scores stay in the rows' order."""
    ranked = rows[["user_id", "saved"]].assign(score=-score).sort_values("score", kind="stable")
    return ranked.groupby("user_id")["saved"].apply(_figures).unstack()


def _figures(saved: pd.Series) -> pd.Series:
    hits, discount = saved.to_numpy(float)[:K], 1 / np.log2(np.arange(2, K + 2))
    perfect = discount[: min(int(saved.sum()), K)].sum()
    return pd.Series({"ndcg": (hits * discount[: len(hits)]).sum() / perfect, "saves": hits.sum()})


class Bootstrap:
    """The same draws of users for every ranker: a gain is that of the same users."""

    def __init__(self, users: int, seed: int) -> None:
        shares = np.full(users, 1 / users)
        self.weights_DU = np.random.default_rng(seed).multinomial(users, shares, DRAWS) / users

    def mean(self, figures_U: np.ndarray) -> dict[str, float]:
        return _interval(float(figures_U.mean()), self.weights_DU @ figures_U)

    def gain(self, ours_U: np.ndarray, theirs_U: np.ndarray) -> dict[str, float]:
        """Relative: 0.15 is +15 %."""
        drawn = (self.weights_DU @ ours_U) / (self.weights_DU @ theirs_U) - 1
        return _interval(float(ours_U.mean() / theirs_U.mean() - 1), drawn)


def _interval(value: float, drawn_D: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(drawn_D, [0.025, 0.975])
    return {"value": value, "low": float(low), "high": float(high)}
