"""The tables that are validated: facts, never image bytes. One pandas frame a table, as Great Expectations reads it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.data.catalogue import SCHEMAS, TIME, Catalogue
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
    · boards: one row a board · queries: one row a (query, Pin); where the catalogue names users: users: one row each ·
    preferences: one row each.
    """
    catalogue, summary = Catalogue(prepared / "catalogue"), summary_of(prepared)
    pin_ids = catalogue.read("pins", ["pin_id"])["pin_id"].combine_chunks()
    saves = catalogue.read("boards", ["board_id", "pin_id", "title", "user_id"])
    preferences = catalogue.read("preferences", ["user_id", "pin_id", "weight", "time"])
    intake = pa.table({name: [summary[name]["quarantined_share"]] for name in SCHEMAS if name in summary})
    tables = {
        "intake": intake,
        "pins": _pins(pq.read_table(prepared / "facts.parquet"), saves),
        "boards": _boards(saves, pin_ids),
        "queries": _queries(catalogue.read("queries", ["query", "pin_id", "clicks"]), pin_ids),
    }
    users = _users(saves, preferences)
    if users.num_rows:
        tables["users"] = users
    if "preferences" in summary:
        tables["preferences"] = _preferences(preferences, pin_ids)
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


def _users(saves: pa.Table, preferences: pa.Table) -> pa.Table:
    """user_id · pins (distinct) · is_board (a board that names no user has the id too); users that are named."""
    named = pa.concat_tables([one.select(["user_id", "pin_id"]) for one in (saves, preferences)])
    named = named.filter(pc.is_valid(named["user_id"]))
    users = named.group_by("user_id", use_threads=False).aggregate([("pin_id", "count_distinct")])
    boards = saves["board_id"].filter(pc.is_null(saves["user_id"])).unique()
    is_board = pc.is_in(users["user_id"], boards)
    return pa.table({"user_id": users["user_id"], "pins": users["pin_id_count_distinct"], "is_board": is_board})


def _preferences(rows: pa.Table, pin_ids: pa.Array) -> pa.Table:
    """user_id · pin_id · weight · time · known · finite · ahead (of now)."""
    later = pc.fill_null(pc.greater(rows["time"], pa.scalar(datetime.now(UTC), TIME)), False)
    rows = rows.append_column("known", pc.is_in(rows["pin_id"], pin_ids))
    return rows.append_column("finite", pc.is_finite(rows["weight"])).append_column("ahead", later)


def _queries(rows: pa.Table, pin_ids: pa.Array) -> pa.Table:
    """query · pin_id · clicks · known · query_length."""
    known = pc.is_in(rows["pin_id"], pin_ids)
    return rows.append_column("known", known).append_column("query_length", pc.utf8_length(rows["query"]))
