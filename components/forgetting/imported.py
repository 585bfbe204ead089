"""A new catalogue, from tables that still hold forgotten Pins and users: they leave it before anybody reads it."""

from pathlib import Path

from components.forgetting.pins import described
from components.forgetting.tree import look_into
from components.settings import Settings
from components.tombstones import read_tombstones
from model.data.board_titles import users_in
from model.data.catalogue import SCHEMAS, Catalogue
from model.data.forgotten import user_key
from model.data.reading import read_table


def leave_out_forgotten(catalogue: Path, settings: Settings) -> int:
    """Returns how many Pins and users there were.

    Raises:
        StoreError: the tombstones are damaged.
    """
    tombstones = read_tombstones(settings)
    if not tombstones:
        return 0
    source = Catalogue(catalogue)
    named = [table for table in SCHEMAS if source.shards(table) and "pin_id" in SCHEMAS[table].names]
    tables = [read_table(source, table, ["pin_id"])["pin_id"] for table in named]
    ids = {pin_id for ids in tables for pin_id in ids.unique().to_pylist() if pin_id and pin_id in tombstones}
    users = {user for user in users_in(source) if user_key(user) in tombstones}
    if ids or users:
        for _ in look_into(catalogue, described(sorted(ids), [catalogue], sorted(users)), erase=True):
            pass
    return len(ids) + len(users)
