"""Matches ids in different spellings: `100` and `100.0` (pandas, if an id was missing), or two Unicode forms."""

import re
import sqlite3
import unicodedata
from collections.abc import Collection, Iterable
from typing import Any

from model.sources.importer.scratch import Names, select
from model.sources.importer.values.cells import identifier, word

WHOLE = re.compile(r"(-?\d+)\.0+")


def plain_key(key: str) -> str:
    """The normal form, which is equal for two spellings of one id."""
    whole = WHOLE.fullmatch(key) if key[-1:] == "0" else None
    if whole:
        return whole[1]
    return key if key.isascii() else unicodedata.normalize("NFC", key)


def user_name(cell: Any) -> str | None:
    """A user's id in its one spelling, the same in every table."""
    written = word(identifier(cell, marks=True))
    return plain_key(written) if written else None


class Spellings:
    """The ids of a table, found by their exact spelling, or by another one if it is unambiguous."""

    def __init__(self, db: sqlite3.Connection, table: str) -> None:
        self._db, self._table, self._names = db, table, Names(db, table)
        db.execute(f"CREATE TABLE {table}_plain (form TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID")

    def add(self, ids: Collection[str]) -> dict[str, int]:
        """{id: number} of all these ids; new ones get the next numbers, from 0."""
        before = len(self._names)
        numbers = self._names.add(ids)
        new = [name for name, number in numbers.items() if number >= before]
        forms = [(form, name) for name in new if (form := plain_key(name)) != name]
        if forms:  # ambiguous: two ids have this form
            write = f"INSERT INTO {self._table}_plain VALUES (?, ?) ON CONFLICT (form) DO UPDATE SET name = NULL"
            self._db.executemany(write, forms)
        return numbers

    def written(self, keys: Collection[str]) -> set[str]:
        """The keys that were added in exactly this spelling."""
        return set(self._names.find(keys))

    def find(self, keys: Collection[str]) -> dict[str, tuple[int, str]]:
        """{key: (number, the id as it was added)} of the keys that name one."""
        found = {key: (number, key) for key, number in self._names.find(keys).items()}
        forms = {key: plain_key(key) for key in keys if key not in found}
        if forms:
            known = {form: (number, form) for form, number in self._names.find(set(forms.values())).items()}
            by_form = self._respelled(form for form in forms.values() if form not in known) | known
            found |= {key: by_form[form] for key, form in forms.items() if form in by_form}
        return found

    def example(self, key: str) -> str:
        """For the message about an unknown id: shows it beside a known one."""
        known = self._names.first()
        return f", e.g. {key!r}, while pin_id are like {known!r}" if known is not None else ""

    def _respelled(self, forms: Iterable[str]) -> dict[str, tuple[int, str]]:
        """{form: (number, id)} of ids that were added in another spelling than their plain form."""
        rows = select(self._db, f"SELECT form, name FROM {self._table}_plain WHERE name IS NOT NULL AND form IN", forms)
        names = dict(rows)
        numbers = self._names.find(set(names.values()))
        return {form: (numbers[name], name) for form, name in names.items()}
