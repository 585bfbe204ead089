"""The columns of the catalogue that a filter may name: its slices, its numbers, and created_at.

    columns = Columns(catalogue)
    columns.described()                                                -> what there is to choose from
    columns.selection({"category": ["hat", "shoe"], "price": {"max": 50}})    -> what an index takes as `only`

A Pin that the catalogue does not have, as one that was pushed since, has no columns: no filter finds it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.data.catalogue import NUMBER_PREFIX, SLICE_PREFIX, Catalogue
from model.data.forgotten import Forgotten
from model.data.preparation import withheld
from model.data.reading import read_table
from serving.service.messages import ColumnOut, Filter
from serving.service.reading import RequestRefused

CREATED = "created_at"
VALUES = 100  # that are described, of a column of texts
KEPT = 64  # selections


@dataclass(frozen=True, eq=False)
class PinSelection:
    """The Pins that a filter lets through (serving/index/selection.py)."""

    ids: pa.LargeStringArray

    def mask(self, ids: pa.LargeStringArray) -> np.ndarray:
        return pc.is_in(ids, value_set=self.ids).to_numpy(zero_copy_only=False)


class Columns:
    def __init__(self, catalogue: Path | None) -> None:
        self._forgotten = Forgotten()
        self._use(_read(Catalogue(catalogue)) if catalogue else pa.table({"pin_id": pa.array([], pa.large_string())}))

    def _use(self, table: pa.Table) -> None:
        self._table = table
        self._selected = lru_cache(KEPT)(lambda text: _selection(table, json.loads(text)))
        # Counted once: values of a million rows take a moment.
        self.described = cache(
            lambda: [_described(name, table[name]) for name in table.column_names if name != "pin_id"]
        )

    def forget(self, forgotten: Forgotten) -> None:
        """Leaves these Pins out, and values that no other Pin has."""
        if forgotten != self._forgotten:
            self._forgotten = forgotten
            self._use(self._table.filter(pc.invert(forgotten.mask(self._table["pin_id"]))))

    def selection(self, asked: Filter | None) -> PinSelection | None:
        """None where nothing is filtered.

        Raises:
            RequestRefused: 422, an unknown column, or a value that its column cannot have.
        """
        if not asked:
            return None
        return self._selected(json.dumps(asked, sort_keys=True, default=lambda limits: limits.model_dump()))


def _read(catalogue: Catalogue) -> pa.Table:
    """pin_id, and every column under the name that a filter uses."""
    prefixes = (SLICE_PREFIX, NUMBER_PREFIX)
    names = [name for name in catalogue.columns("pins") if name == CREATED or name.startswith(prefixes)]
    table = read_table(catalogue, "pins", ["pin_id", *names])
    table = table.filter(pc.invert(pc.is_in(table["pin_id"], value_set=withheld(catalogue))))
    columns = {"pin_id": table["pin_id"].cast(pa.large_string())}
    for name in names:
        column = table[name].dictionary_encode() if name.startswith(SLICE_PREFIX) else table[name]
        columns.setdefault(name.removeprefix(SLICE_PREFIX).removeprefix(NUMBER_PREFIX), column)
    return pa.table(columns)


def _described(name: str, column: pa.ChunkedArray) -> ColumnOut:
    if pa.types.is_dictionary(column.type):
        counted = pc.value_counts(column.drop_null()).to_pylist()
        counted.sort(key=lambda one: (-one["counts"], one["values"]))
        return ColumnOut(name=name, kind="text", values=[one["values"] for one in counted[:VALUES]])
    ends = pc.min_max(column).as_py()
    if pa.types.is_floating(column.type):
        return ColumnOut(name=name, kind="number", low=ends["min"], high=ends["max"])
    low, high = (value and value.isoformat() for value in (ends["min"], ends["max"]))
    return ColumnOut(name=name, kind="time", low=low, high=high)


def _selection(table: pa.Table, asked: Mapping[str, Any]) -> PinSelection:
    kept = pa.array(np.ones(table.num_rows, dtype=bool))
    for name, wanted in asked.items():
        if name not in table.column_names or name == "pin_id":
            there = ", ".join(one for one in table.column_names if one != "pin_id")
            raise _refused(name, f"no column that a filter can name; there {'are: ' + there if there else 'is none'}")
        kept = pc.and_(kept, pc.fill_null(_fitting(name, table[name], wanted), False))
    return PinSelection(table["pin_id"].filter(kept).combine_chunks())


def _fitting(name: str, column: pa.ChunkedArray, wanted: Any) -> pa.ChunkedArray:
    """bool by row: whether the value is the wanted one, one of several, or within limits."""
    read = partial(_value, name, column.type)
    if not isinstance(wanted, dict):
        values = [read(value) for value in (wanted if isinstance(wanted, list) else [wanted])]
        texts = pa.types.is_dictionary(column.type)
        return pc.is_in(column, value_set=pa.array(values, pa.string() if texts else column.type))
    if pa.types.is_dictionary(column.type):
        raise _refused(name, "a column of texts, which has no min and max; give a text or a list of texts")
    fits = pc.is_valid(column)
    if wanted["min"] is not None:
        fits = pc.and_(fits, pc.greater_equal(column, pa.scalar(read(wanted["min"]), column.type)))
    if wanted["max"] is not None:
        fits = pc.and_(fits, pc.less_equal(column, pa.scalar(read(wanted["max"]), column.type)))
    return fits


def _value(name: str, kind: pa.DataType, value: str | float) -> str | float | datetime:
    if pa.types.is_floating(kind):
        if isinstance(value, str):
            raise _refused(name, "a column of numbers; give it a number")
        return value
    if not isinstance(value, str):
        raise _refused(name, f"a column of {'texts' if pa.types.is_dictionary(kind) else 'times'}; give it as a text")
    if pa.types.is_dictionary(kind):
        return value
    try:
        time = datetime.fromisoformat(value)
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    except ValueError:
        raise _refused(name, "a column of times; write them as 2026-11-21T12:00:00Z") from None


def _refused(name: str, is_what: str) -> RequestRefused:
    return RequestRefused(422, f"filter: {name[:100]!r} is {is_what}.")
