"""Titles of boards by their users: one that too few users have, and that nobody else searched for, is their own.

    titles_of(source, ["ann"])                 that go with these users
    OwnTitles.read(source).users               how many users have a title that is nobody's search

A title may be a query of the catalogue (`from: board_titles`), so that whoever shows or learns queries asks here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from model.data.catalogue import OF_USERS, TEXT_SIGNALS, Catalogue, owners
from model.data.cleaning import readable
from model.data.forgotten import Forgotten
from model.data.reading import read_table
from model.data.users import usable_owners

_TITLES = ["board_id", "pin_id", "title", "user_id"]
_PAIRS = pa.schema([("title", pa.string()), ("user", pa.string())])


@dataclass(frozen=True)
class OwnTitles:
    """Queries that are titles of boards, that nobody searched for, and that are no text of a Pin."""

    pairs: pa.Table = field(default_factory=_PAIRS.empty_table)  # each once; no user: withheld, unknown or forgotten
    named: bool = False  # boards name users; else whose they are is not known, and one that has the title is enough

    @staticmethod
    def read(source: Catalogue) -> "OwnTitles":
        """
        Raises:
            CatalogueError: the catalogue cannot be read.
        """
        whole = Catalogue(source.root)  # boards of forgotten users tell which queries are no searches
        rows = _read(whole, "boards", _TITLES)
        named = bool(pc.any(pc.not_equal(rows["user_id"], "")).as_py())
        queries = _read(whole, "queries", ["query"])["query"].drop_null().unique()
        rows = rows.filter(pc.is_in(rows["title"], value_set=queries))
        titles = set(pc.unique(rows["title"]).to_pylist()) - _searched(whole, rows)
        titles -= _words_of_pins(whole, titles)
        rows = rows.filter(pc.is_in(rows["title"], value_set=pa.array(sorted(titles), pa.string())))
        pairs = pa.table([rows["title"], usable_owners(whole, rows)], schema=_PAIRS)
        return OwnTitles(_distinct(pairs), named).without(source.forgotten)

    @cached_property
    def users(self) -> Mapping[str, int]:
        """By title, as written; of a catalogue that names no users the titles that are left to nobody."""
        counted = self.pairs.group_by("title").aggregate([("user", "count")])
        pairs = zip(counted["title"].to_pylist(), counted["user_count"].to_pylist(), strict=True)
        return {title: count for title, count in pairs if self.named or not count}

    def without(self, forgotten: Forgotten) -> "OwnTitles":
        """These users have nothing; a title that was theirs alone is left to nobody."""
        if not forgotten:
            return self
        left = pc.if_else(forgotten.mask_of_users(self.pairs["user"]), pa.scalar(None, pa.string()), self.pairs["user"])
        return OwnTitles(_distinct(self.pairs.set_column(1, "user", left)), self.named)


def users_in(source: Catalogue) -> set[str]:
    """Everybody whose rows a catalogue holds; a board that names no user stands for one.

    Raises:
        CatalogueError: the catalogue cannot be read.
    """
    boards = _read(source, "boards", ["board_id", "user_id"])
    others = [_read(source, table, ["user_id"])["user_id"] for table in OF_USERS]
    return {user for ids in (owners(boards), *others) for user in ids.unique().to_pylist() if user}


def titles_of(source: Catalogue, users: Sequence[str]) -> set[str]:
    """Titles of the users' boards, as written, that are nobody else's and no text of a Pin.

    Raises:
        CatalogueError: the catalogue cannot be read.
    """
    rows = _read(source, "boards", _TITLES)
    theirs = pc.fill_null(pc.is_in(owners(rows), value_set=pa.array(users, pa.string())), False)
    mine, others = rows.filter(theirs), rows.filter(pc.invert(theirs))
    titles = {title for title in mine["title"].to_pylist() if title} - set(others["title"].to_pylist())
    titles -= _searched(source, mine)
    return titles - _words_of_pins(source, titles)


def _read(source: Catalogue, table: str, columns: Sequence[str]) -> pa.Table:
    rows = read_table(source, table, columns)
    return pa.table({name: readable(rows[name]) for name in rows.column_names})


def _searched(source: Catalogue, boards: pa.Table) -> set[str]:
    """Queries with clicks that the titles of these boards do not explain."""
    told = boards.group_by(["title", "pin_id"]).aggregate([([], "count_all")])
    rows = _read(source, "queries", ["query", "pin_id", "clicks"])
    rows = rows.set_column(2, "clicks", pc.fill_null(rows["clicks"], 1))
    asked = rows.group_by(["query", "pin_id"]).aggregate([("clicks", "sum")])
    asked = asked.join(told, ["query", "pin_id"], ["title", "pin_id"])
    more = pc.greater(asked["clicks_sum"], pc.fill_null(asked["count_all"], 0))
    return set(asked["query"].filter(more).to_pylist())


def _distinct(pairs: pa.Table) -> pa.Table:
    return pairs.group_by(["title", "user"]).aggregate([])


def _words_of_pins(source: Catalogue, titles: set[str]) -> set[str]:
    """Those of the titles that are a text of a Pin too."""
    signals = [name for name in TEXT_SIGNALS if name in source.columns("pins")]
    if not titles or not signals:
        return set()
    rows = _read(source, "pins", signals)
    columns = [pc.list_flatten(rows[name]) if pa.types.is_list(rows[name].type) else rows[name] for name in signals]
    return {text for column in columns for text in pc.unique(column).to_pylist() if text in titles}
