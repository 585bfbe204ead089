"""Rows of Pins in a Parquet file. Row groups stay where they are: a running service knows images by row group."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.forgetting.pins import Pins
from model.data.ledger import KEY_CHARACTERS, KEY_SEPARATOR
from model.files import remove, replaced
from serving.rows import ERASED


def look(file: Path, pins: Pins, erase: bool = False) -> int:
    """Rows of the Pins; a file that has no other rows goes."""
    parquet = pq.ParquetFile(file)
    names = [name for name in MASKS if name in parquet.schema_arrow.names]
    names = names[:1]  # a row that names its Pin is judged by that alone
    if not names:
        return 0
    found = 0
    for group in range(parquet.num_row_groups):
        found += pc.sum(_mask(parquet.read_row_group(group, columns=names), names[0], pins)).as_py() or 0
    if found and erase:
        if found == parquet.metadata.num_rows:
            remove(file)
        else:
            _write_others(parquet, file, names[0], pins)
    return int(found)


def _write_others(parquet: pq.ParquetFile, file: Path, name: str, pins: Pins) -> None:
    columns = parquet.metadata.row_group(0)
    compression = columns.column(0).compression if columns.num_columns else "SNAPPY"
    schema = parquet.schema_arrow
    schema = schema.with_metadata((schema.metadata or {}) | ERASED)
    with replaced(file) as scratch, pq.ParquetWriter(scratch, schema, compression=_codec(compression)) as writer:
        for group in range(parquet.num_row_groups):
            rows = parquet.read_row_group(group)
            writer.write_table(rows.filter(pc.invert(_mask(rows, name, pins))))


def _codec(name: str) -> str:
    return "none" if name == "UNCOMPRESSED" else name.lower()


def _mask(rows: pa.Table, name: str, pins: Pins) -> pa.ChunkedArray:
    """Bool, never null."""
    return pa.chunked_array([MASKS[name](rows[name], pins)])


def _by_id(column: pa.ChunkedArray, pins: Pins) -> pa.Array:
    return pa.array(pc.fill_null(pc.is_in(column.cast(pa.string()), value_set=pa.array(pins.ids)), False))


def _by_key(column: pa.ChunkedArray, pins: Pins) -> pa.Array:
    """A quarantined row's key: the id, or `board · id`, cut off after KEY_CHARACTERS."""

    def names_one(key: str | None) -> bool:
        parts = (key or "").split(KEY_SEPARATOR)
        cut = len(key or "") == KEY_CHARACTERS and any(pin_id.startswith(parts[-1]) for pin_id in pins.ids)
        return cut or key in pins.id_set or any(part in pins.id_set for part in parts)

    return pa.array(map(names_one, column.to_pylist()), pa.bool_())


def _by_text(column: pa.ChunkedArray, pins: Pins) -> pa.Array:
    return pa.array((text in pins.texts for text in column.to_pylist()), pa.bool_())


# By the column that says whose the row is, the surest first.
MASKS = {"pin_id": _by_id, "key": _by_key, "query": _by_text}
