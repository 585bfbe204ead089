"""What is known of a Pin besides its content, as it was at every time: saves, boards, the day it was made.

pin_stats(pins, boards, now)   ->  pin_id · saves · boards · created_at · event_timestamp, a row whenever one changed

A row holds from its event_timestamp to the next of its Pin. A save counts from saved_at on, a Pin from created_at on;
where the catalogue does not say when, from `now` on. What happens after `now` is left out.
"""

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.data.catalogue import TIME

KNOWN = "event_timestamp"  # from when on a row holds


def pin_stats(pins: pa.Table, boards: pa.Table, now: datetime) -> pa.Table:
    """The rows above, ordered by Pin and time, one a Pin and time.

    Args:
        pins: pin_id, created_at (of the catalogue's contract).
        boards: board_id, pin_id, saved_at, in this order.
    """
    moment = pa.scalar(now, TIME).cast(pa.int64())
    made, known = pins["created_at"].cast(pa.int64()), boards["saved_at"].cast(pa.int64())
    boards = boards.set_column(2, "saved_at", pc.fill_null(known, moment))
    pin = pc.index_in(boards["pin_id"], value_set=pins["pin_id"])
    boards = boards.append_column("row", pin).filter(pc.is_valid(pin))
    # No Pin is saved before it is there: its row would tell created_at ahead of time.
    saved = pc.max_element_wise(boards["saved_at"], made.take(boards["row"]))
    events = pa.table(
        {
            "row": pa.chunked_array([np.arange(len(pins), dtype=np.int32), boards["row"].combine_chunks()]),
            "board": pa.chunked_array([pa.nulls(len(pins), pa.string()), boards["board_id"].combine_chunks()]),
            KNOWN: pa.chunked_array([*pc.fill_null(made, moment).chunks, *saved.chunks], pa.int64()),
        }
    )
    events = events.filter(pc.less_equal(events[KNOWN], moment))
    events = events.sort_by([("row", "ascending"), (KNOWN, "ascending")])
    counted = _counted(events)
    last = np.flatnonzero(_changes(counted["row"]) | _changes(counted[KNOWN]))
    counted = counted.take(last)
    made = pc.floor_temporal(pins["created_at"].take(counted["row"]), unit="second")  # online stores keep no more
    columns = {"pin_id": pins["pin_id"].take(counted["row"]), "created_at": made}
    columns |= {"saves": counted["saves"], "boards": counted["boards"], KNOWN: counted[KNOWN].cast(TIME)}
    return pa.table(columns)


def _counted(events: pa.Table) -> pa.Table:
    """Saves and distinct boards of the Pin up to each event; `events` are ordered by Pin."""
    row = events["row"].to_numpy().astype(np.int64)
    board = events["board"].combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy().astype(np.int64)
    pair = row * (board.max(initial=0) + 2) + board
    first = np.zeros(len(row), dtype=np.int64)
    first[np.unique(pair, return_index=True)[1]] = 1
    start = np.searchsorted(row, row)  # the Pin's first event
    columns = {}
    for name, one in (("saves", np.int64(1) * (board >= 0)), ("boards", first * (board >= 0))):
        total = np.cumsum(one)
        columns[name] = total - (total - one)[start]
    return events.append_column("saves", [columns["saves"]]).append_column("boards", [columns["boards"]])


def _changes(column: pa.ChunkedArray) -> np.ndarray:
    """Where the next value differs, or none follows."""
    values = column.to_numpy()
    return np.append(values[1:] != values[:-1], True)[: len(values)]
