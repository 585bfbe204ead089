"""A graph's folder (model/graph/neighbourhood.py): its tables name Pins by their row in split.parquet.

The rows of the Pins go from all four, and the numbers after them move up.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.forgetting.pins import Pins
from model.files import replaced

SPLIT = "split.parquet"
NUMBERED = {"edges.parquet": ("pin",), "texts.parquet": ("pin",), "neighbours.parquet": ("pin", "neighbour")}


def is_graph(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (SPLIT, *NUMBERED))


def look(folder: Path, pins: Pins, erase: bool = False) -> int:
    """Rows of the Pins in the folder's tables; the folder is replaced as a whole, so that its numbers always fit."""
    split = pq.read_table(folder / SPLIT)
    gone = pc.fill_null(pc.is_in(split["pin_id"], value_set=pa.array(pins.ids)), False).to_numpy()
    if not gone.any():
        return 0
    numbers = np.cumsum(~gone) - 1
    tables, found = {SPLIT: split.filter(pa.array(~gone))}, int(gone.sum())
    for name, columns in NUMBERED.items():
        rows = pq.read_table(folder / name)
        theirs = np.logical_or.reduce([gone[rows[column].to_numpy()] for column in columns])
        rows, found = rows.filter(pa.array(~theirs)), found + int(theirs.sum())
        for column in columns:
            moved = pa.array(numbers[rows[column].to_numpy()], rows.schema.field(column).type)
            rows = rows.set_column(rows.column_names.index(column), rows.schema.field(column), moved)
        tables[name] = rows
    if erase:
        with replaced(folder) as scratch:
            scratch.mkdir()
            for file in folder.iterdir():
                if file.name in tables:
                    pq.write_table(tables[file.name], scratch / file.name, compression="zstd")
                else:
                    (scratch / file.name).write_bytes(file.read_bytes())
    return found
