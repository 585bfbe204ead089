"""One id in two spellings: `100` and `100.0` (pandas, where one id was missing), or two Unicode forms of one name."""

import re
import sqlite3
import unicodedata
from collections.abc import Collection, Iterable

from model.sources.importer.scratch import Names, select

WHOLE = re.compile(r"(-?\d+)\.0+")


def plain_key(key: str) -> str:
    """The spelling under which two forms of one id meet."""
    whole = WHOLE.fullmatch(key) if key[-1:] == "0" else None
    if whole:
        return whole[1]
    return key if key.isascii() else unicodedata.normalize("NFC", key)


class Spellings:
    """Ids of a table, found as they are written there, else in another spelling that only one of them has."""

    def __init__(self, db: sqlite3.Connection, table: str) -> None:
        self._db, self._table, self._names = db, table, Names(db, table)
        db.execute(f"CREATE TABLE {table}_plain (form TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID")

    def add(self, ids: Collection[str]) -> dict[str, int]:
        """{id: number} of all these ids; new ones get the next numbers, from 0."""
        before = len(self._names)
        numbers = self._names.add(ids)
        new = [name for name, number in numbers.items() if number >= before]
        forms = [(form, name) for name in new if (form := plain_key(name)) != name]
        if forms:  # two ids of one form: neither is meant
            write = f"INSERT INTO {self._table}_plain VALUES (?, ?) ON CONFLICT (form) DO UPDATE SET name = NULL"
            self._db.executemany(write, forms)
        return numbers

    def written(self, keys: Collection[str]) -> set[str]:
        """The keys that were added in this very spelling."""
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
        """For the message about an id that is not there: it beside one that is."""
        known = self._names.first()
        return f", e.g. {key!r}, while pin_id are like {known!r}" if known is not None else ""

    def _respelled(self, forms: Iterable[str]) -> dict[str, tuple[int, str]]:
        """{form: (number, id)} of ids that were added in another spelling than their plain form."""
        rows = select(self._db, f"SELECT form, name FROM {self._table}_plain WHERE name IS NOT NULL AND form IN", forms)
        names = dict(rows)
        numbers = self._names.find(set(names.values()))
        return {form: (numbers[name], name) for form, name in names.items()}
