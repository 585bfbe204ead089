"""The rows of a feature view on disk: a log to which every publication appends what has changed, and nothing else.

    <home>/feast/offline/pin_stats/20261101T120000000000.parquet   the rows of one publication, `created` its time

So what was known at any time can be read later, and the newest rows are those that the online store still lacks.
"""

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.data.catalogue import TIME
from model.errors import StoreError
from model.files import replaced

KNOWN, CREATED = "event_timestamp", "created"


def append_rows(folder: Path, rows: pa.Table, key: str, now: datetime) -> int:
    """Appends `rows` (key, features, event_timestamp) and returns how many.

    The first time that is all of them, with their history. Later it is the newest row of every key whose features are
    not those stored: they are known from `now` on, whatever time they speak of.
    """
    if former := shards(folder):
        stored = newest(pa.concat_tables([read_appended(shard) for shard in former]), key)
        rows = _different(newest(rows, key), stored, key)
        rows = rows.set_column(rows.column_names.index(KNOWN), KNOWN, _always(now, rows))
    if rows.num_rows:
        with replaced(folder / f"{now:%Y%m%dT%H%M%S%f}.parquet") as scratch:
            pq.write_table(rows.append_column(CREATED, _always(now, rows)), scratch)
    return rows.num_rows


def read_appended(shard: Path, since: datetime | None = None) -> pa.Table:
    """The rows of a shard that were appended after `since`.

    Raises:
        StoreError: the shard is damaged.
    """
    try:
        return pq.read_table(shard, filters=None if since is None else pc.field(CREATED) > pa.scalar(since, TIME))
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(
            f"{shard} is damaged ({str(error).splitlines()[0]}); bring it back from a backup, or remove it and run "
            "`pinclip sync`, which knows nothing of its past."
        ) from None


def shards(folder: Path) -> list[Path]:
    """In the order of their times."""
    return sorted(folder.glob("*.parquet"))


def newest(rows: pa.Table, key: str) -> pa.Table:
    """One row for each key, that of the latest time, by key."""
    rows = rows.sort_by([(key, "ascending"), (KNOWN, "ascending")])
    keys = rows[key].combine_chunks().dictionary_encode().indices.to_numpy()
    return rows.take(np.flatnonzero(np.append(keys[1:] != keys[:-1], True)[: len(keys)]))


def _different(rows: pa.Table, stored: pa.Table, key: str) -> pa.Table:
    """The rows that `stored`, one row a key as well, lacks or knows otherwise."""
    place = pc.index_in(rows[key], value_set=stored[key])
    same = pc.is_valid(place)
    for name in rows.column_names:
        if name not in (key, KNOWN):
            left, right = _comparable(rows[name]), _comparable(stored[name].take(place))
            equal = pc.fill_null(pc.equal(left, right), False)
            same = pc.and_(same, pc.or_(equal, pc.and_(pc.is_null(left), pc.is_null(right))))
    return rows.filter(pc.invert(same))


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Arrow compares no lists: they become text."""
    return pc.binary_join(column.cast(pa.list_(pa.string())), " ") if pa.types.is_list(column.type) else column


def _always(time: datetime, rows: pa.Table) -> pa.Array:
    return pa.repeat(pa.scalar(time, TIME), rows.num_rows)
