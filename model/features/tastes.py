"""A user's tastes: a few of the saved Pins, each standing for a group of alike ones (PinnerSage, Pal 2020).

    medoids(x_NE, …)              ->  rows of x_NE and their weights, the largest group first
    likings(boards, preferences)  ->  user_id · pin_id · weight · time · named, one row a save or preference
    taste_table(likings, …)       ->  user_id · medoids · weights, one row a user

Ward's clustering joins, again and again, the two groups whose union spreads least more. A group is shown by its medoid,
the member nearest to all others: a Pin that exists, where a mean of a cat and a car is nothing. Its weight is the share
of the likings in the group.

Of a user whom the catalogue names all boards count, and the preferences: a save weighs 1, a preference what the
catalogue says, and each half as much for every `half_life_days` that it is older than the user's newest. Shares of such
weights stay the same as time goes by, so that a taste changes with its user alone. **A board that names no user stands
for one**: user_id is the board_id, and its saves weigh the same.

Shape legend: N Pins of a user · E vector dimension · K tastes, at most TASTES
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.cluster.hierarchy import fcluster, linkage

from model.data.catalogue import TIME, owners
from model.embedding.affine import Affine

TASTES = 3
NEWEST = 256  # Pins of a user that count: Ward's clustering takes their square
DAY = 86_400_000_000  # microseconds
UNDATED = np.iinfo(np.int64).min
LIKINGS = pa.schema(
    [
        pa.field("user_id", pa.string()),
        pa.field("pin_id", pa.string()),
        pa.field("weight", pa.float64()),
        pa.field("time", TIME),
        pa.field("named", pa.bool_()),  # the catalogue names the user; else a board stands for it
    ]
)
SCHEMA = pa.schema([("user_id", pa.string()), ("medoids", pa.binary()), ("weights", pa.list_(pa.float32()))])


def medoids(x_NE: np.ndarray, most: int = TASTES, weights_N: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Rows int64 (K,) of x_NE, vectors of length 1, and weights float32 (K,) that add up to 1; N is at least 1."""
    weights_N = np.ones(len(x_NE)) if weights_N is None else weights_N
    heavy_NE = x_NE * weights_N.astype(x_NE.dtype)[:, None]
    groups_N = fcluster(linkage(x_NE, "ward"), most, "maxclust") if len(x_NE) > 1 else np.ones(1, dtype=int)
    members = [np.flatnonzero(groups_N == group) for group in np.unique(groups_N)]
    rows_K = np.array([rows[np.argmax(x_NE[rows] @ heavy_NE[rows].sum(axis=0))] for rows in members])
    weights_K = np.array([weights_N[rows].sum() for rows in members]) / weights_N.sum()
    order_K = np.lexsort((rows_K, -weights_K))
    return rows_K[order_K], weights_K[order_K].astype(np.float32)


def likings(boards: pa.Table, preferences: pa.Table | None = None) -> pa.Table:
    """LIKINGS, from the catalogue's tables.

    Args:
        boards: board_id, pin_id, saved_at, and user_id where the catalogue has it.
        preferences: user_id, pin_id, weight, time; without nulls in weight.
    """
    users, count, named = owners(boards), boards.num_rows, pa.repeat(False, boards.num_rows)
    if "user_id" in boards.column_names:
        named = pc.fill_null(pc.equal(users, boards["user_id"]), False)
    saves = pa.table([users, boards["pin_id"], pa.repeat(1.0, count), boards["saved_at"], named], schema=LIKINGS)
    if preferences is None:
        return saves
    others = preferences.select(["user_id", "pin_id", "weight", "time"])
    others = others.append_column("named", pa.repeat(True, others.num_rows))
    return pa.concat_tables([saves, others.cast(LIKINGS)])


def taste_table(
    likings: pa.Table, pin_ids: pa.Array, codes_NE: np.ndarray, affine: Affine, half_life_days: float
) -> pa.Table:
    """The tastes of every user who likes a Pin that has a vector, users in the order of their ids.

    Args:
        likings: LIKINGS.
        pin_ids: the Pins of the codes, one a row.

    Returns:
        SCHEMA. `medoids` holds K vectors one after the other, each the bytes that are stored of its Pin.
    """
    users, rows = [], []
    for user, liked_N, weights_N in _liked(likings, pin_ids, half_life_days):
        codes = codes_NE[liked_N]
        chosen_K, weights_K = medoids(affine.vectors(codes), weights_N=weights_N)
        users.append(user)
        rows.append((affine.pack(codes[chosen_K]).tobytes(), weights_K))
    columns = {"user_id": users, "medoids": [m for m, _ in rows], "weights": [w for _, w in rows]}
    return pa.table(columns, schema=SCHEMA)


def _liked(likings: pa.Table, pin_ids: pa.Array, half_life_days: float) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Each user with the rows of the NEWEST Pins and their weights; what has no time is older than what has one."""
    time = pc.fill_null(likings["time"].cast(pa.int64()), UNDATED)
    likings = likings.set_column(likings.column_names.index("time"), "time", time)
    likings = likings.sort_by([("user_id", "ascending"), ("time", "ascending")])
    likings = likings.append_column("row", pc.index_in(likings["pin_id"], value_set=pin_ids))
    likings = likings.filter(pc.is_valid(likings["row"]))
    user = likings["user_id"].combine_chunks().dictionary_encode()
    row_N, time_N, weight_N, named_N = (likings[name].to_numpy() for name in ("row", "time", "weight", "named"))
    starts = np.flatnonzero(np.diff(user.indices.to_numpy(), prepend=-1))
    for start, end in pairwise([*starts, len(row_N)]):
        mine, weights = slice(start, end), weight_N[start:end]
        rows = row_N[mine]
        if named_N[mine].any():
            weights = weights / weights.max() * _decay(time_N[mine], half_life_days)
            rows, weights = _each_once(rows, weights)
        yield user[int(start)].as_py(), rows[-NEWEST:], weights[-NEWEST:]


def _decay(time_N: np.ndarray, half_life_days: float) -> np.ndarray:
    """(N,) in (0, 1], by age; what has no time is as old as the oldest that has one."""
    dated_N = time_N != UNDATED
    time_N = np.where(dated_N, time_N, time_N[dated_N].min(initial=time_N.max()))
    return 0.5 ** ((time_N.max() - time_N) / (half_life_days * DAY))


def _each_once(rows_N: np.ndarray, weights_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows in the order of their last places, with the sums of their weights."""
    distinct, from_end, place_N = np.unique(rows_N[::-1], return_index=True, return_inverse=True)
    order = np.argsort(-from_end)
    return distinct[order], np.bincount(place_N, weights_N[::-1])[order]
