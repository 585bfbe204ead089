"""A graph's folder (model/graph/neighbourhood.py): its tables name Pins by their row in split.parquet.

The rows of the Pins go from all four, and the numbers after them move up. A user's boards are known by their Pins, and
by titles that nobody else uses; what is on a board with the very same Pins goes with them.
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
    wanted = pa.array(pins.ids, pa.string())
    gone = pc.fill_null(pc.is_in(split["pin_id"], value_set=wanted), False).to_numpy()
    if not (gone.any() or pins.users):
        return 0
    numbers = np.cumsum(~gone) - 1
    tables, found = {SPLIT: split.filter(pa.array(~gone))}, int(gone.sum())
    for name, columns in NUMBERED.items():
        rows = pq.read_table(folder / name)
        theirs = np.logical_or.reduce([gone[rows[column].to_numpy()] for column in columns])
        theirs |= _of_users(name, rows, split["pin_id"].to_pylist(), pins)
        rows, found = rows.filter(pa.array(~theirs)), found + int(theirs.sum())
        for column in columns:
            moved = pa.array(numbers[rows[column].to_numpy()], rows.schema.field(column).type)
            rows = rows.set_column(rows.column_names.index(column), rows.schema.field(column), moved)
        tables[name] = rows
    if erase and found:
        with replaced(folder) as scratch:
            scratch.mkdir()
            for file in folder.iterdir():
                if file.name in tables:
                    pq.write_table(tables[file.name], scratch / file.name, compression="zstd")
                else:
                    (scratch / file.name).write_bytes(file.read_bytes())
    return found


def _of_users(name: str, rows: pa.Table, ids: list[str], pins: Pins) -> np.ndarray:
    """Bool (rows,): edges of a board of theirs, and its title."""
    if name == "texts.parquet" and pins.titles:
        return np.array([text in pins.titles for text in rows["text"].to_pylist()], dtype=bool)
    if name != "edges.parquet" or not pins.boards:
        return np.zeros(rows.num_rows, dtype=bool)
    held: dict[int, set[str]] = {}
    for pin, board in zip(rows["pin"].to_pylist(), rows["board"].to_pylist(), strict=True):
        held.setdefault(board, set()).add(ids[pin])
    known, theirs = frozenset(ids), dict[frozenset[str], set[str]]()
    for board in pins.boards:
        theirs.setdefault(board.pins & known, set()).update(board.theirs)
    gone = {(number, pin) for number, found in held.items() for pin in theirs.get(frozenset(found), ())}
    edges = zip(rows["board"].to_pylist(), rows["pin"].to_pylist(), strict=True)
    return np.array([(board, ids[pin]) in gone for board, pin in edges], dtype=bool)
