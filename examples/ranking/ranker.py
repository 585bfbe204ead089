"""LambdaRank by LightGBM: fitted with some of the features, judged on lists that it has not seen."""

from collections.abc import Sequence

import lightgbm as lgb
import numpy as np
import pandas as pd

TREES = 200
SETTINGS = {
    "objective": "lambdarank",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def fit(rows: pd.DataFrame, features: Sequence[str], seed: int) -> lgb.Booster:
    """`rows`: user_id, saved and the features; the rows of a user stand together and are one list."""
    lengths = rows.groupby("user_id", sort=False).size().to_numpy()
    data = lgb.Dataset(rows[list(features)].to_numpy(), rows["saved"].to_numpy(int), group=lengths)
    return lgb.train(SETTINGS | {"seed": seed}, data, TREES)


def score(ranker: lgb.Booster, rows: pd.DataFrame, features: Sequence[str]) -> np.ndarray:
    return np.asarray(ranker.predict(rows[list(features)].to_numpy(), num_threads=1))
