"""Keeps the facts of the Pins that a space was trained on, without their ids, as long as the space exists.

    <home>/serving/v7/reference/facts.parquet     at most 20,000 rows of model.drift.facts

The catalogue's path is no substitute: the next import writes to the same path.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.settings import Settings
from components.spaces.paths import state_folder
from components.tombstones import read_tombstones
from model.drift.facts import KEPT, drift_facts, some
from model.errors import StoreError
from model.files import replaced


def reference_folder(space: str, settings: Settings) -> Path:
    return state_folder(space, settings) / "reference"


def keep_reference(prepared: Path, space: str, settings: Settings) -> None:
    """Keeps the facts of the prepared catalogue that the space was made of; a folder without facts leaves none."""
    if not (prepared / "facts.parquet").is_file():
        return
    facts, forgotten = drift_facts(prepared), read_tombstones(settings)
    facts = facts.filter(pc.invert(forgotten.mask(facts["pin_id"])))
    names = [pin_id or f"row {row}" for row, pin_id in enumerate(facts["pin_id"].to_pylist())]
    rows = facts.take(some(names, KEPT)).drop_columns("pin_id")
    with replaced(reference_folder(space, settings)) as scratch:
        scratch.mkdir()
        pq.write_table(rows, scratch / "facts.parquet", compression="zstd")


def read_reference(space: str, settings: Settings) -> pa.Table:
    """
    Raises:
        StoreError: publishing kept none.
    """
    file = reference_folder(space, settings) / "facts.parquet"
    if not file.is_file():
        raise StoreError(f"There is nothing to compare the space {space} with in {file}; publish a new version.")
    return pq.read_table(file)
