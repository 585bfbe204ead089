"""What our product logged: the Pins there are, who saved which, and what was shown.

    pins, saves = read_pins(catalogue), read_saves(catalogue)
    shown = impressions(pins, saves, published, seed=0)

The sources are the Parquet files of a catalogue: pins (title, annotations, created_at) and boards (board_id, pin_id,
saved_at, user_id); where a board names no user, it is one. A catalogue logs saves, no impressions: what was shown
beside a save is drawn here.

- Labels are saves made after `published`, the moment whose features the ranker sees. What a user saved before is
  history and is never shown again.
- For every save shown there are OTHERS Pins that the user never saved, half of them drawn by popularity and half
  evenly, of the same kind as the saved: fresh with fresh, known with known. So neither popularity alone nor freshness
  tells what was saved.
- Half of the users are for training, on the first day; the others are for judging, on the second.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

FRESH = timedelta(days=7)  # a Pin made within a week before the features is fresh
DAY = timedelta(days=1)
OTHERS = 49  # Pins shown beside a saved one
MOST = 5  # saves of a user and kind that are shown


def read_pins(catalogue: Path) -> pd.DataFrame:
    return _read(catalogue / "pins", ["pin_id", "title", "annotations", "created_at"])


def read_saves(catalogue: Path) -> pd.DataFrame:
    """user_id, pin_id, saved_at; each save once."""
    boards = _read(catalogue / "boards", ["board_id", "pin_id", "saved_at", "user_id"])
    boards["user_id"] = boards["user_id"].fillna(boards.pop("board_id"))
    return (
        boards[["user_id", "pin_id", "saved_at"]]
        .sort_values("saved_at")
        .drop_duplicates(["user_id", "pin_id"], ignore_index=True)
    )


def impressions(pins: pd.DataFrame, saves: pd.DataFrame, published: datetime, seed: int) -> pd.DataFrame:
    """user_id, pin_id, saved, fresh, train, shown_at; the rows of a user stand together, in random order."""
    rng = np.random.default_rng(seed)
    row = {pin_id: number for number, pin_id in enumerate(pins["pin_id"])}
    saves = saves.assign(row=saves["pin_id"].map(row), later=saves["saved_at"] > published)
    popularity_N = np.bincount(saves["row"], minlength=len(pins)).astype(float)
    fresh_N = (pins["created_at"] > published - FRESH).to_numpy()
    lists = []
    for number, (user, saved) in enumerate(_users(saves, rng)):
        rows, liked = _shown(saved, fresh_N, popularity_N, rng)
        train = number % 2 == 0
        columns = {"user_id": user, "pin_id": pins["pin_id"].to_numpy()[rows], "saved": liked, "fresh": fresh_N[rows]}
        lists.append(pd.DataFrame(columns | {"train": train, "shown_at": published + (DAY if train else 2 * DAY)}))
    return pd.concat(lists, ignore_index=True)


def _read(folder: Path, columns: list[str]) -> pd.DataFrame:
    """A column that a catalogue does without comes empty."""
    table = ds.dataset(sorted(str(file) for file in folder.glob("*.parquet")))
    there = [name for name in columns if name in table.schema.names]
    return table.to_table(columns=there).to_pandas().reindex(columns=columns)


def _users(saves: pd.DataFrame, rng: np.random.Generator) -> Iterator[tuple[str, pd.DataFrame]]:
    """The saves of every user who has some before and some after, users in random order."""
    by_user = [(str(user), saved) for user, saved in saves.groupby("user_id") if 0 < saved["later"].sum() < len(saved)]
    for number in rng.permutation(len(by_user)):
        yield by_user[number]


def _shown(
    saved: pd.DataFrame, fresh_N: np.ndarray, popularity_N: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of Pins shown to one user, in random order, and which of them were saved."""
    later, never_N = saved.loc[saved["later"], "row"].to_numpy(), np.ones(len(fresh_N), dtype=bool)
    never_N[saved["row"]] = False
    liked, others = [], []
    for kind_N in (fresh_N, ~fresh_N):
        some = rng.permutation(later[kind_N[later]])[:MOST]
        liked.append(some)
        others.append(_others(np.flatnonzero(kind_N & never_N), len(some) * OTHERS, popularity_N, rng))
    rows = np.concatenate([*liked, *others])
    order = rng.permutation(len(rows))
    return rows[order], (order < sum(map(len, liked)))


def _others(pool: np.ndarray, count: int, popularity_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`count` different rows of the pool, or all of it: half by how often they were saved, the rest evenly."""
    chance = popularity_N[pool]
    half = min(count // 2, int(np.count_nonzero(chance)))
    popular = rng.choice(pool, half, False, chance / chance.sum()) if half else pool[:0]
    rest = rng.permutation(np.setdiff1d(pool, popular))
    return np.concatenate([popular, rest[: count - len(popular)]])
