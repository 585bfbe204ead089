"""Titles of boards by their users: one that a single user has, and that nobody else searched for, is the user's own."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from model.data.catalogue import OF_USERS, TEXT_SIGNALS, Catalogue, owners
from model.data.reading import read_table


def users_in(source: Catalogue) -> set[str]:
    """Everybody whose rows a catalogue holds; a board that names no user stands for one.

    Raises:
        CatalogueError: the catalogue cannot be read.
    """
    boards = read_table(source, "boards", ["board_id", "user_id"])
    others = [read_table(source, table, ["user_id"])["user_id"] for table in OF_USERS]
    return {user for ids in (owners(boards), *others) for user in ids.unique().to_pylist() if user}


def titles_of(source: Catalogue, users: Sequence[str]) -> set[str]:
    """Titles of the users' boards, as written, that are nobody else's and no text of a Pin.

    Raises:
        CatalogueError: the catalogue cannot be read.
    """
    rows = read_table(source, "boards", ["board_id", "pin_id", "title", "user_id"])
    theirs = pc.fill_null(pc.is_in(owners(rows), value_set=pa.array(users, pa.string())), False)
    mine, others = rows.filter(theirs), rows.filter(pc.invert(theirs))
    titles = {title for title in mine["title"].to_pylist() if title} - set(others["title"].to_pylist())
    titles -= _searched(source, mine)
    return titles - _words_of_pins(source, titles)


def _searched(source: Catalogue, boards: pa.Table) -> set[str]:
    """Queries with clicks that the titles of these boards do not explain."""
    told: dict[tuple[str, str], int] = {}
    for title, pin in zip(boards["title"].to_pylist(), boards["pin_id"].to_pylist(), strict=True):
        told[title, pin] = told.get((title, pin), 0) + 1
    rows = read_table(source, "queries", ["query", "pin_id", "clicks"])
    columns = (rows[name].to_pylist() for name in ("query", "pin_id", "clicks"))
    return {query for query, pin, clicks in zip(*columns, strict=True) if (clicks or 1) > told.get((query, pin), 0)}


def _words_of_pins(source: Catalogue, titles: set[str]) -> set[str]:
    """Those of the titles that are a text of a Pin too."""
    signals = [name for name in TEXT_SIGNALS if name in source.columns("pins")]
    if not titles or not signals:
        return set()
    rows = read_table(source, "pins", signals)
    columns = [pc.list_flatten(rows[name]) if pa.types.is_list(rows[name].type) else rows[name] for name in signals]
    return {text for column in columns for text in pc.unique(column).to_pylist() if text in titles}
