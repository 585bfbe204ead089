"""Users: whose rows may be used, by the catalogue's own list.

Consent comes first, as with Pins. Without a list of users the owner of the catalogue vouches for all of them; with one,
a user that it does not name is unknown. Where the list has a column of consent, only `true` is consent: null is not,
and one row without it withholds the user. What a user without consent saved is counted and leaves no other trace.
"""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from model.data.catalogue import Catalogue, owners
from model.data.cleaning import readable, unusable
from model.data.ledger import NO_CONSENT, Ledger
from model.data.reading import read_table

NO_USER = "no usable user_id"


@dataclass(frozen=True)
class KnownUsers:
    kept: pa.Array | None = None  # None: the catalogue has no list, so that nobody is unknown
    withheld: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))  # without consent


def lists_users(source: Catalogue) -> bool:
    """The folder counts, not its rows: the list may have lost its last user (pinclip forget)."""
    return (source.root / "users").is_dir()


def known_users(source: Catalogue, ledger: Ledger) -> KnownUsers:
    if not lists_users(source):
        return KnownUsers()
    rows = read_table(source, "users", ["user_id", "consent"])
    rows = rows.set_column(0, "user_id", readable(rows["user_id"]))
    ledger.count_read("users", rows.num_rows)
    rows = ledger.without("users", rows, unusable(rows["user_id"]), NO_USER, quarantine=True)
    gone = withheld_users(source)
    rows = ledger.without("users", rows, pc.is_in(rows["user_id"], gone), NO_CONSENT, quarantine=False)
    kept = pc.unique(rows["user_id"])
    ledger.drop("users", "repeated row", rows.num_rows - len(kept))
    return KnownUsers(kept, gone)


def withheld_users(source: Catalogue) -> pa.Array:
    """The user_ids with any row whose consent is not given."""
    if "consent" not in source.columns("users"):
        return pa.array([], pa.string())
    rows = read_table(source, "users", ["user_id", "consent"])
    return readable(rows["user_id"]).filter(pc.invert(pc.fill_null(rows["consent"], False))).unique().drop_null()


def of_known_users(table: str, rows: pa.Table, users: KnownUsers, ledger: Ledger) -> pa.Table:
    """The rows without those of users that are withheld or unknown; a row that names no user stays."""
    rows = ledger.without(table, rows, pc.is_in(rows["user_id"], users.withheld), NO_CONSENT, quarantine=False)
    if users.kept is None:
        return rows
    unknown = pc.and_(pc.is_valid(rows["user_id"]), pc.invert(pc.is_in(rows["user_id"], users.kept)))
    return ledger.without(table, rows, unknown, "unknown user", quarantine=True)


def usable_owners(source: Catalogue, boards: pa.Table) -> pa.Array | pa.ChunkedArray:
    """The user of each row of boards, null where the list of users withholds or lacks the one that it names."""
    users, named = known_users(source, Ledger()), pc.fill_null(boards["user_id"], "")
    refused = pc.is_in(named, value_set=users.withheld)
    if users.kept is not None:
        refused = pc.or_(refused, pc.invert(pc.is_in(named, value_set=users.kept)))
    refused = pc.and_(refused, pc.not_equal(named, ""))
    return readable(pc.if_else(refused, pa.scalar(None, pa.string()), owners(boards)))
