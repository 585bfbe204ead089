"""A new catalogue, from tables that still hold forgotten Pins: they leave it before anybody reads it."""

from pathlib import Path

from components.forgetting.pins import Pins
from components.forgetting.tree import look_into
from components.settings import Settings
from components.tombstones import read_tombstones
from model.data.catalogue import SCHEMAS, Catalogue
from model.data.reading import read_table


def leave_out_forgotten(catalogue: Path, settings: Settings) -> int:
    """Returns how many Pins there were.

    Raises:
        StoreError: the tombstones are damaged.
    """
    tombstones = read_tombstones(settings)
    if not tombstones:
        return 0
    source = Catalogue(catalogue)
    tables = [read_table(source, table, ["pin_id"])["pin_id"] for table in SCHEMAS if source.shards(table)]
    ids = {pin_id for ids in tables for pin_id in ids.unique().to_pylist() if pin_id and pin_id in tombstones}
    if ids:
        for _ in look_into(catalogue, Pins(tuple(sorted(ids))), erase=True):
            pass
    return len(ids)
