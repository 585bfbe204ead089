"""The tables that are validated: facts, never image bytes. One pandas frame a table, as Great Expectations reads it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.data.catalogue import Catalogue
from model.errors import CatalogueError

if TYPE_CHECKING:
    import pandas as pd


def summary_of(prepared: Path) -> dict[str, Any]:
    """The prepare step's counts.

    Raises:
        CatalogueError: the folder is not a finished prepare step.
    """
    try:
        return json.loads((prepared / "summary.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CatalogueError(f"{prepared} holds no summary.json; run the prepare step again.") from None


def prepared_tables(prepared: Path) -> dict[str, "pd.DataFrame"]:
    """intake: one row, the quarantined share of each source table · pins: one row a kept Pin, its facts and `boards`
    · boards: one row a board · queries: one row a (query, Pin).
    """
    catalogue, summary = Catalogue(prepared / "catalogue"), summary_of(prepared)
    pin_ids = catalogue.read("pins", ["pin_id"])["pin_id"].combine_chunks()
    saves = catalogue.read("boards", ["board_id", "pin_id", "title"])
    intake = pa.table({name: [summary[name]["quarantined_share"]] for name in ("pins", "boards", "queries")})
    tables = {
        "intake": intake,
        "pins": _pins(pq.read_table(prepared / "facts.parquet"), saves),
        "boards": _boards(saves, pin_ids),
        "queries": _queries(catalogue.read("queries", ["query", "pin_id", "clicks"]), pin_ids),
    }
    return {name: table.to_pandas() for name, table in tables.items()}


def _pins(facts: pa.Table, saves: pa.Table) -> pa.Table:
    facts = facts.filter(facts["kept"]).drop_columns(["kept", "refused"])
    width, height = (facts[side].to_numpy().astype(np.int64) for side in ("width", "height"))
    on_boards = saves.group_by("pin_id").aggregate([("board_id", "count_distinct")])
    boards_of = dict(
        zip(on_boards["pin_id"].to_pylist(), on_boards["board_id_count_distinct"].to_pylist(), strict=True)
    )
    return (
        facts.append_column("pixels", pa.array(width * height))
        .append_column("aspect", pa.array(np.maximum(width, height) / np.minimum(width, height)))
        .append_column("boards", pa.array([boards_of.get(pin, 0) for pin in facts["pin_id"].to_pylist()], pa.int64()))
    )


def _boards(saves: pa.Table, pin_ids: pa.Array) -> pa.Table:
    """board_id · pins (distinct) · share (of all Pins) · unknown_pins · title_length."""
    rows = saves.append_column("unknown", pc.cast(pc.invert(pc.is_in(saves["pin_id"], pin_ids)), pa.int64()))
    rows = rows.append_column("length", pc.fill_null(pc.utf8_length(rows["title"]), 0))
    measures = [("pin_id", "count_distinct"), ("unknown", "sum"), ("length", "max")]
    boards = rows.group_by("board_id", use_threads=False).aggregate(measures)
    pins = boards["pin_id_count_distinct"]
    return pa.table(
        {
            "board_id": boards["board_id"],
            "pins": pins,
            "share": pc.divide(pc.cast(pins, pa.float64()), len(pin_ids)),
            "unknown_pins": boards["unknown_sum"],
            "title_length": boards["length_max"],
        }
    )


def _queries(rows: pa.Table, pin_ids: pa.Array) -> pa.Table:
    """query · pin_id · clicks · known · query_length."""
    known = pc.is_in(rows["pin_id"], pin_ids)
    return rows.append_column("known", known).append_column("query_length", pc.utf8_length(rows["query"]))
