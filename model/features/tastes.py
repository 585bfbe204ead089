"""A user's tastes: a few of the saved Pins, each standing for a group of alike ones (PinnerSage, Pal 2020).

    medoids(x_NE)            ->  rows of x_NE and their weights, the largest group first
    taste_table(boards, …)   ->  user_id · medoids · weights, one row a user

Ward's clustering joins, again and again, the two groups whose union spreads least more. A group is shown by its medoid,
the member nearest to all others: a Pin that exists, where a mean of a cat and a car is nothing. Its weight is the share
of the saves in the group.

The catalogue names no people, so **each board is taken as one user**: user_id is the board_id.

Shape legend: N saved Pins of a user · E vector dimension · K tastes, at most TASTES
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.cluster.hierarchy import fcluster, linkage

from model.embedding.affine import Affine

TASTES = 3
NEWEST = 256  # saves of a user that count: Ward's clustering takes their square
SCHEMA = pa.schema([("user_id", pa.string()), ("medoids", pa.binary()), ("weights", pa.list_(pa.float32()))])


def medoids(x_NE: np.ndarray, most: int = TASTES) -> tuple[np.ndarray, np.ndarray]:
    """Rows int64 (K,) of x_NE, vectors of length 1, and weights float32 (K,) that add up to 1; N is at least 1."""
    groups_N = fcluster(linkage(x_NE, "ward"), most, "maxclust") if len(x_NE) > 1 else np.ones(1, dtype=int)
    members = [np.flatnonzero(groups_N == group) for group in np.unique(groups_N)]
    rows_K = np.array([rows[np.argmax(x_NE[rows] @ x_NE[rows].sum(axis=0))] for rows in members])
    weights_K = np.array([len(rows) for rows in members]) / len(x_NE)
    order_K = np.lexsort((rows_K, -weights_K))
    return rows_K[order_K], weights_K[order_K].astype(np.float32)


def taste_table(boards: pa.Table, pin_ids: pa.Array, codes_NE: np.ndarray, affine: Affine) -> pa.Table:
    """The tastes of every user with a saved Pin that has a vector, users in the order of their ids.

    Args:
        boards: board_id, pin_id, saved_at (of the catalogue's contract).
        pin_ids: the Pins of the codes, one a row.

    Returns:
        SCHEMA. `medoids` holds K vectors one after the other, each the bytes that are stored of its Pin.
    """
    users, rows = [], []
    for user, saved_N in _saved(boards, pin_ids):
        codes = codes_NE[saved_N]
        chosen_K, weights_K = medoids(affine.vectors(codes))
        users.append(user)
        rows.append((affine.pack(codes[chosen_K]).tobytes(), weights_K))
    columns = {"user_id": users, "medoids": [m for m, _ in rows], "weights": [w for _, w in rows]}
    return pa.table(columns, schema=SCHEMA)


def _saved(boards: pa.Table, pin_ids: pa.Array) -> Iterator[tuple[str, np.ndarray]]:
    """Each user with the rows of the newest NEWEST saves; a save without a time is older than one that has one."""
    time = pc.fill_null(boards["saved_at"].cast(pa.int64()), np.iinfo(np.int64).min)
    boards = pa.table({"user": boards["board_id"], "pin_id": boards["pin_id"], "time": time})
    boards = boards.sort_by([("user", "ascending"), ("time", "ascending")])
    boards = boards.append_column("row", pc.index_in(boards["pin_id"], value_set=pin_ids))
    boards = boards.filter(pc.is_valid(boards["row"]))
    user, row_N = boards["user"].combine_chunks().dictionary_encode(), boards["row"].to_numpy()
    starts = np.flatnonzero(np.diff(user.indices.to_numpy(), prepend=-1))
    for start, end in pairwise([*starts, len(row_N)]):
        yield user[start].as_py(), row_N[max(start, end - NEWEST) : end]
