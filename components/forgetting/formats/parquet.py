"""Rows of Pins and users in a Parquet file. Row groups stay where they are: a running service knows images by them."""

import functools
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.forgetting.formats import tags
from components.forgetting.pins import Pins
from model.data.catalogue import owners
from model.data.ledger import KEY_CHARACTERS, KEY_SEPARATOR
from model.files import remove, replaced
from serving.rows import ERASED

SEPARATORS = re.compile(f"{re.escape(KEY_SEPARATOR)}| → ")  # of a prepared catalogue, of an import


def look(file: Path, pins: Pins, erase: bool = False) -> int:
    """Rows of the Pins and users; a file that has no other rows goes."""
    parquet = pq.ParquetFile(file)
    names = [name for name in (*MASKS, *OF_USERS) if name in parquet.schema_arrow.names]
    if not names:
        return tags.look(file, pins, erase) if tags.is_tagged(parquet.schema_arrow) else 0
    found = 0
    for group in range(parquet.num_row_groups):
        found += pc.sum(_mask(parquet.read_row_group(group, columns=names), pins)).as_py() or 0
    if found and erase:
        if found == parquet.metadata.num_rows:
            remove(file)
        else:
            _write_others(parquet, file, pins)
    return int(found)


def _write_others(parquet: pq.ParquetFile, file: Path, pins: Pins) -> None:
    columns = parquet.metadata.row_group(0)
    compression = columns.column(0).compression if columns.num_columns else "SNAPPY"
    schema = parquet.schema_arrow
    schema = schema.with_metadata((schema.metadata or {}) | ERASED)
    with replaced(file) as scratch, pq.ParquetWriter(scratch, schema, compression=_codec(compression)) as writer:
        for group in range(parquet.num_row_groups):
            rows = parquet.read_row_group(group)
            writer.write_table(rows.filter(pc.invert(_mask(rows, pins))))


def _codec(name: str) -> str:
    return "none" if name == "UNCOMPRESSED" else name.lower()


def _mask(rows: pa.Table, pins: Pins) -> pa.ChunkedArray:
    """Bool, never null. Of what tells of Pins the surest column judges alone."""
    judges = [name for name in MASKS if name in rows.column_names][:1]
    masks = [MASKS[name](rows[name], pins) for name in judges]
    if pins.users:
        masks.append(_of_users(rows, pins))
    return pa.chunked_array([functools.reduce(pc.or_, masks, pa.array(np.zeros(rows.num_rows, bool)))])


def _of_users(rows: pa.Table, pins: Pins) -> pa.Array:
    """By the user; by the key of a quarantined row, which begins with user or board; by a query that is the title of a
    board of theirs."""
    names, users = rows.column_names, pins.user_set
    if "board_id" in names:
        theirs = [user in users for user in owners(rows).to_pylist()]
    elif "user_id" in names:
        theirs = [user in users for user in rows["user_id"].to_pylist()]
    elif "key" in names and "table" in names:
        told = zip(rows["table"].to_pylist(), rows["key"].to_pylist(), strict=True)
        named = {"boards": users | {board.board_id for board in pins.boards}, "users": users, "preferences": users}
        theirs = [_begins_with(key or "", named.get(table, frozenset())) for table, key in told]
    elif "query" in names:
        theirs = [query in pins.titles for query in rows["query"].to_pylist()]
    else:
        theirs = [False] * rows.num_rows
    return pa.array(theirs, pa.bool_())


def _begins_with(key: str, ids: frozenset[str]) -> bool:
    """A key is `id · pin`, cut off after KEY_CHARACTERS."""
    cut = len(key) == KEY_CHARACTERS and any(one.startswith(key) for one in ids)
    return cut or SEPARATORS.split(key)[0] in ids


def _by_id(column: pa.ChunkedArray, pins: Pins) -> pa.Array:
    wanted = pa.array(pins.ids, pa.string())
    return pa.array(pc.fill_null(pc.is_in(column.cast(pa.string()), value_set=wanted), False), pa.bool_())


def _by_key(column: pa.ChunkedArray, pins: Pins) -> pa.Array:
    """A quarantined row's key: the id, or `board · id`, cut off after KEY_CHARACTERS."""

    def names_one(key: str | None) -> bool:
        parts = SEPARATORS.split(key or "")
        cut = len(key or "") == KEY_CHARACTERS and any(pin_id.startswith(parts[-1]) for pin_id in pins.ids)
        return cut or key in pins.id_set or any(part in pins.id_set for part in parts)

    return pa.array(map(names_one, column.to_pylist()), pa.bool_())


def _by_text(column: pa.ChunkedArray, pins: Pins) -> pa.Array:
    return pa.array((text in pins.texts for text in column.to_pylist()), pa.bool_())


# By the column that says whose the row is, the surest first.
MASKS = {"pin_id": _by_id, "key": _by_key, "query": _by_text}
OF_USERS = ("user_id", "board_id", "table")
