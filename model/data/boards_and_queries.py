"""Boards and queries: rows that name Pins, held against the Pins that were kept."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.data.catalogue import REQUIRED, Catalogue
from model.data.cleaning import REPLACEMENT, clean_column, clean_queries, readable
from model.data.ids import id_refusal
from model.data.ledger import NO_CONSENT, Ledger
from model.data.reading import read_table


@dataclass(frozen=True)
class KnownPins:
    """What became of the source's Pins, by pin_id."""

    kept: pa.Array
    refused: pa.Array  # quarantined
    withheld: pa.Array  # without consent


def prepare_boards(source: Catalogue, pins: KnownPins, min_board_pins: int, ledger: Ledger) -> tuple[pa.Table, dict]:
    """Clean board rows: known Pins, each once a board, boards of at least `min_board_pins` Pins; and board counts."""
    rows = _read(source, "boards", ledger)
    before = pc.count_distinct(rows["board_id"]).as_py()
    rows = ledger.without("boards", rows, _unusable(rows["board_id"]), "no usable board_id", quarantine=True)
    rows = _naming_kept_pins("boards", rows, pins, ledger)
    first, _ = _distinct(rows, "board_id", "pin_id")
    ledger.drop("boards", "repeated row", rows.num_rows - len(first))
    rows = rows.take(first)
    codes = _codes(rows["board_id"])
    small = pa.chunked_array([np.bincount(codes, minlength=1)[codes] < min_board_pins])
    rows = ledger.without("boards", rows, small, f"board of fewer than {min_board_pins} Pins", quarantine=False)
    return rows, {"boards_read": before, "boards_kept": pc.count_distinct(rows["board_id"]).as_py()}


def prepare_queries(source: Catalogue, pins: KnownPins, ledger: Ledger) -> pa.Table:
    """Clean query rows: known Pins, each once a query; clicks of repeated rows are added up, absent clicks are 1."""
    rows = _read(source, "queries", ledger)
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


def _read(source: Catalogue, table: str, ledger: Ledger) -> pa.Table:
    """The whole table with readable ids and clean texts; no rows where the source has no such table."""
    rows = read_table(source, table, source.columns(table) or REQUIRED[table])
    ledger.read[table] = rows.num_rows
    for name, cleaned in (("query", clean_queries), ("title", clean_column)):
        if name in rows.column_names:
            rows = _with(rows, name, cleaned(rows[name]))
    for name in ("board_id", "pin_id"):
        if name in rows.column_names:
            rows = _with(rows, name, readable(rows[name]))
    return rows


def _naming_kept_pins(table: str, rows: pa.Table, pins: KnownPins, ledger: Ledger) -> pa.Table:
    rows = ledger.without(table, rows, pc.is_in(rows["pin_id"], pins.withheld), NO_CONSENT, quarantine=False)
    rows = ledger.without(table, rows, pc.is_in(rows["pin_id"], pins.refused), "refused Pin", quarantine=False)
    unknown = pc.invert(pc.is_in(rows["pin_id"], pins.kept))
    return ledger.without(table, rows, unknown, "unknown Pin", quarantine=True)


def _unusable(ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Where an id is null, blank, was not UTF-8 or is refused (model/data/ids.py)."""
    known = pc.unique(ids)
    bad = [not one or not one.strip() or REPLACEMENT in one or bool(id_refusal(one)) for one in known.to_pylist()]
    return pc.is_in(ids, value_set=known.filter(pa.array(bad, pa.bool_())))


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
