"""Boards, queries and preferences: rows that name Pins, held against the Pins that were kept and the users that may be
used.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.data.board_titles import OwnTitles
from model.data.catalogue import PREFERENCES, REQUIRED, TIME, Catalogue
from model.data.cleaning import clean_column, clean_queries, readable, unusable
from model.data.ledger import NO_CONSENT, Ledger
from model.data.reading import read_table
from model.data.users import NO_USER, KnownUsers, lists_users, of_known_users


@dataclass(frozen=True)
class KnownPins:
    """What became of the source's Pins, by pin_id."""

    kept: pa.Array
    refused: pa.Array  # quarantined
    withheld: pa.Array  # without consent


def prepare_boards(
    source: Catalogue, pins: KnownPins, users: KnownUsers, min_board_pins: int, ledger: Ledger
) -> tuple[pa.Table, dict]:
    """Clean board rows: known Pins, each once a board, boards of at least `min_board_pins` Pins; and board counts."""
    rows = _read(source, "boards", ledger)
    before = pc.count_distinct(rows["board_id"]).as_py()
    rows = ledger.without("boards", rows, unusable(rows["board_id"]), "no usable board_id", quarantine=True)
    if "user_id" in rows.column_names:
        unnamed = pc.if_else(pc.equal(rows["user_id"], ""), pa.scalar(None, pa.string()), rows["user_id"])
        rows = _with(rows, "user_id", unnamed)
        bad = pc.and_(pc.is_valid(rows["user_id"]), unusable(rows["user_id"]))
        rows = ledger.without("boards", rows, bad, NO_USER, quarantine=True)
        rows = of_known_users("boards", rows, users, ledger)
    rows = _naming_kept_pins("boards", rows, pins, ledger)
    first, _ = _distinct(rows, "board_id", "pin_id")
    ledger.drop("boards", "repeated row", rows.num_rows - len(first))
    rows = rows.take(first)
    codes = _codes(rows["board_id"])
    small = pa.chunked_array([np.bincount(codes, minlength=1)[codes] < min_board_pins])
    rows = ledger.without("boards", rows, small, f"board of fewer than {min_board_pins} Pins", quarantine=False)
    return rows, {"boards_read": before, "boards_kept": pc.count_distinct(rows["board_id"]).as_py()}


def prepare_queries(source: Catalogue, pins: KnownPins, ledger: Ledger) -> pa.Table:
    """Clean query rows: known Pins, each once a query; clicks of repeated rows are added up, absent clicks are 1.

    A query that is but the title of boards whose users may not be used is dropped.
    """
    rows = _read(source, "queries", ledger)
    left = pc.is_in(rows["query"], value_set=clean_queries(pa.array(_titles_of_nobody(source), pa.string())))
    rows = ledger.without("queries", rows, left, "title of a board whose user may not be used", quarantine=False)
    if "clicks" not in rows.column_names:
        rows = rows.append_column("clicks", pa.nulls(rows.num_rows, pa.int64()))
    rows = _with(rows, "clicks", pc.fill_null(rows["clicks"], 1))
    rows = ledger.without("queries", rows, pc.is_null(rows["query"]), "empty query", quarantine=True)
    rows = ledger.without("queries", rows, pc.less(rows["clicks"], 0), "negative clicks", quarantine=True)
    rows = ledger.without("queries", rows, pc.equal(rows["clicks"], 0), "no clicks", quarantine=False)
    rows = _naming_kept_pins("queries", rows, pins, ledger)
    first, group = _distinct(rows, "query", "pin_id")
    ledger.drop("queries", "repeated row", rows.num_rows - len(first))
    clicks = np.zeros(len(first), dtype=np.int64)
    np.add.at(clicks, group, rows["clicks"].to_numpy())
    return _with(rows.take(first), "clicks", pa.array(clicks))


def _titles_of_nobody(source: Catalogue) -> list[str]:
    if not (lists_users(source) or source.forgotten):
        return []
    return [title for title, users in OwnTitles.read(source).users.items() if not users]


def prepare_preferences(
    source: Catalogue, pins: KnownPins, users: KnownUsers, boards: pa.Table, least: int, now: datetime, ledger: Ledger
) -> pa.Table:
    """Clean preference rows, of users with at least `least` different Pins; an absent weight is 1.

    Args:
        boards: the clean ones; what their users saved on them counts.
        now: what is later is no preference.
    """
    rows = _read(source, "preferences", ledger)
    for name in PREFERENCES.names:
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, PREFERENCES.field(name).type))
    rows = _with(rows, "weight", pc.fill_null(rows["weight"], 1.0)).select(PREFERENCES.names)
    rows = ledger.without("preferences", rows, unusable(rows["user_id"]), NO_USER, quarantine=True)
    rows = of_known_users("preferences", rows, users, ledger)
    rows = _naming_kept_pins("preferences", rows, pins, ledger)
    sound = pc.and_(pc.is_finite(rows["weight"]), pc.greater(rows["weight"], 0))
    rows = ledger.without("preferences", rows, pc.invert(sound), "weight not above 0 and finite", quarantine=True)
    later = pc.fill_null(pc.greater(rows["time"], pa.scalar(now, TIME)), False)
    rows = ledger.without("preferences", rows, later, "time in the future", quarantine=True)
    rows = _without_repeats(rows, ledger)
    few = pc.invert(pc.is_in(rows["user_id"], _users_of(rows, boards, least)))
    return ledger.without("preferences", rows, few, f"user of fewer than {least} Pins", quarantine=False)


def _without_repeats(rows: pa.Table, ledger: Ledger) -> pa.Table:
    numbered = rows.append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    first = numbered.group_by(rows.column_names, use_threads=False).aggregate([("row", "min")])["row_min"]
    ledger.drop("preferences", "repeated row", rows.num_rows - len(first))
    return rows.take(first.combine_chunks().sort())


def _users_of(preferences: pa.Table, boards: pa.Table, least: int) -> pa.Array:
    """The named users with at least `least` different Pins in all."""
    tables = [preferences.select(["user_id", "pin_id"])]
    if "user_id" in boards.column_names:
        tables.append(boards.select(["user_id", "pin_id"]))
    counted = pa.concat_tables(tables).group_by("user_id").aggregate([("pin_id", "count_distinct")])
    return counted["user_id"].filter(pc.greater_equal(counted["pin_id_count_distinct"], least)).combine_chunks()


def _read(source: Catalogue, table: str, ledger: Ledger) -> pa.Table:
    """The whole table with readable ids and clean texts; no rows where the source has no such table."""
    rows = read_table(source, table, source.columns(table) or REQUIRED[table])
    ledger.count_read(table, rows.num_rows)
    for name, cleaned in (("query", clean_queries), ("title", clean_column), ("kind", clean_column)):
        if name in rows.column_names:
            rows = _with(rows, name, cleaned(rows[name]))
    for name in ("board_id", "pin_id", "user_id"):
        if name in rows.column_names:
            rows = _with(rows, name, readable(rows[name]))
    return rows


def _naming_kept_pins(table: str, rows: pa.Table, pins: KnownPins, ledger: Ledger) -> pa.Table:
    rows = ledger.without(table, rows, pc.is_in(rows["pin_id"], pins.withheld), NO_CONSENT, quarantine=False)
    rows = ledger.without(table, rows, pc.is_in(rows["pin_id"], pins.refused), "refused Pin", quarantine=False)
    unknown = pc.invert(pc.is_in(rows["pin_id"], pins.kept))
    return ledger.without(table, rows, unknown, "unknown Pin", quarantine=True)


def _distinct(rows: pa.Table, first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
    """Row of the first of every distinct pair, rising; and for every row the place of its pair among them."""
    left, right = _codes(rows[first]), _codes(rows[second])
    pairs = left * (right.max(initial=0) + 1) + right
    _, position, group = np.unique(pairs, return_index=True, return_inverse=True)
    order = np.argsort(position)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return position[order], place[group]


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """int64 (rows,): equal values have equal numbers."""
    return column.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)


def _with(rows: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, column)
