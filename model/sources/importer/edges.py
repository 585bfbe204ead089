"""Imports the boards and queries of a spec; a row whose Pin was not imported is refused."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from model.data.catalogue import BOARDS, CatalogueWriter
from model.errors import SpecError
from model.sources.importer.pairs import QueryClicks, Seen
from model.sources.importer.report import Quarantine, Tally
from model.sources.importer.row_values import ids, optional_values, required_values, row_key
from model.sources.importer.scratch import Names
from model.sources.importer.spec.definition import BoardTitles, Rows
from model.sources.importer.tables.stream import Source, TableBatch, require_rows, scan
from model.sources.importer.values.cells import BadValue, count, identifier, named, word
from model.sources.importer.values.id_spellings import Spellings, plain_key, user_name
from model.sources.importer.values.times import time_reader

ROWS = 16_384
Progress = Callable[[float, str], None]


class PinRows:
    """The imported Pins: finds a Pin's number and catalogue id from the cell that names it."""

    def __init__(self, known: Spellings, prefix: str) -> None:
        self._known, self._prefix = known, prefix

    def find(self, cells: Sequence[Any], refused: dict[int, str], tally: Tally) -> list[tuple[int, str]]:
        """(number, id) for each cell; the row of a cell that names none gets its reason in `refused`."""
        keys = ids("pin_id", identifier, cells, refused)
        found = self._known.find([key for key in dict.fromkeys(keys) if key])
        named = {key: (number, self._prefix + name) for key, (number, name) in found.items()}
        for row, key in enumerate(keys):
            if key not in named and row not in refused:
                tally.example = tally.example or self._known.example(key)
                refused[row] = "no such Pin in the catalogue"
        return [named.get(key, (-1, "")) for key in keys]


class BoardImporter:
    """Writes one row a (board, Pin) and, where the spec asks for it, collects the titles as queries."""

    def __init__(
        self,
        pins: PinRows,
        usable_users: Callable[[Collection[str]], set[str]],
        titles: BoardTitles | None,
        clicks: QueryClicks,
        db: sqlite3.Connection,
    ) -> None:
        """usable_users: which of these users gave consent."""
        self.pins, self.usable_users, self.titles, self.clicks = pins, usable_users, titles, clicks
        self.kept = self.titled = 0  # board rows, and those that became query rows
        self._boards, self._seen = Names(db, "boards"), Seen(db, "seen")
        self._askers, self._asked, self._not_asked = Names(db, "askers"), Seen(db, "asked"), Counter[str]()
        self._repeated = Names(db, "repeated_boards")  # of an earlier table, met again in the present one

    def run(
        self, spec: Rows, source: Source, writer: CatalogueWriter, quarantine: Quarantine, report: Progress
    ) -> None:
        """Streams one boards table of the spec.

        Raises:
            SpecError: none of its rows could be kept.
        """
        tally, columns = source.tally, spec.columns
        schema = pa.schema([BOARDS.field(name) for name in columns if columns[name].name not in source.absent])
        read_time = time_reader(spec.formats.get("saved_at"))
        earlier, repeated = len(self._boards), len(self._repeated)
        for batch in scan(source, quarantine, ROWS):
            edges = self._edges(spec, batch, earlier, tally, quarantine)
            cells = {name: [batch.columns[column.name][edge.row] for edge in edges] for name, column in columns.items()}
            kept = {
                "board_id": [edge.board for edge in edges],
                "pin_id": [edge.pin for edge in edges],
                "title": optional_values("title", word, cells.get("title", ()), tally),
                "saved_at": optional_values("saved_at", read_time, cells.get("saved_at", ()), tally),
                "user_id": [edge.user for edge in edges],
            }
            if edges:
                writer.write("boards", pa.table([kept[name] for name in schema.names], schema=schema))
            self._ask(batch, edges, kept["title"])
            tally.kept += len(edges)
            report(batch.done, f"{tally.kept:,} of {tally.read:,} board rows kept")
        self.kept += tally.kept
        shared = len(self._repeated) - repeated
        if shared:
            tally.notes.append(f"{shared:,} board ids are in an earlier table too; write a prefix: if they are others")
        require_rows(source)

    def title_tally(self) -> Tally:
        """Board rows that became queries, of all that were kept.

        Raises:
            SpecError: there are boards, and no title became a query.
        """
        if self.kept and not self.titled:
            where = f" and fits where {self.titles.where.text}" if self.titles and self.titles.where else ""
            raise SpecError(f"queries from board_titles gave nothing: no board row has a title{where}; check both.")
        dropped = self._not_asked.copy()
        left = self.kept - self.titled - dropped.total()
        dropped |= Counter({"not chosen, or without a title": left})
        return Tally("queries from board_titles", self.kept, self.titled, dropped)

    def _edges(
        self, spec: Rows, batch: TableBatch, earlier: int, tally: Tally, quarantine: Quarantine
    ) -> list["_Edge"]:
        """The kept rows; refused rows go to quarantine in order. `earlier`: boards of earlier tables."""
        board_cells, pin_cells = (batch.columns[spec.columns[name].name] for name in ("board_id", "pin_id"))
        refused = dict[int, str]()
        written = ids("board_id", _board, board_cells, refused)
        names = {name: spec.prefix + plain_key(name) for name in dict.fromkeys(written) if name}
        users = self._users(spec, batch, refused)
        numbers = self._boards.add(list(names.values()))
        self._repeated.add([name for name, number in numbers.items() if number < earlier])
        pins = self.pins.find(pin_cells, refused, tally)
        rows = [row for row in range(len(written)) if row not in refused]
        boards = [names[written[row]] for row in rows]
        is_new = self._seen.new([numbers[board] for board in boards], [pins[row][0] for row in rows])
        edges = list[_Edge]()
        for row, board, new in zip(rows, boards, is_new.tolist(), strict=True):
            if new:
                edges.append(_Edge(row, board, *pins[row], users[row]))
            else:
                refused[row] = "the Pin is on this board already"
        for row in sorted(refused):
            quarantine.refuse(tally, row_key(board_cells[row], pin_cells[row]), refused[row], batch.place(row))
        return edges

    def _users(self, spec: Rows, batch: TableBatch, refused: dict[int, str]) -> list[str | None]:
        """The user of each row, None where it names none; one that is no id gets its reason in `refused`."""
        if "user_id" not in spec.columns:
            return [None] * len(batch.numbers)
        return required_values("user_id", user_name, batch.columns[spec.columns["user_id"].name], refused)

    def _ask(self, batch: TableBatch, edges: Sequence["_Edge"], titles: Sequence[str | None]) -> None:
        """Writes queries from the titles of those kept rows that the spec selects."""
        if self.titles is None or not titles:
            return
        where = self.titles.where
        asked = where.keep(batch.columns) if where else [True] * len(batch.numbers)
        pairs = [(title, edge) for edge, title in zip(edges, titles, strict=True) if title and asked[edge.row]]
        if any(edge.user for edge in edges):
            pairs = self._once_a_user(pairs)
        chosen = Counter((title, edge.number, edge.pin) for title, edge in pairs)
        self.clicks.add(chosen)
        self.titled += chosen.total()

    def _once_a_user(self, pairs: list[tuple[str, "_Edge"]]) -> list[tuple[str, "_Edge"]]:
        """Those of users that gave consent; the same title of a user's other board is no further click on a Pin."""
        usable = self.usable_users({edge.user for _, edge in pairs if edge.user})
        allowed = [(title, edge) for title, edge in pairs if edge.user is None or edge.user in usable]
        askers = [f"{title}\n{edge.user}" if edge.user else f"{title}\nboard\n{edge.board}" for title, edge in allowed]
        numbers = self._askers.add(askers)
        is_new = self._asked.new([numbers[one] for one in askers], [edge.number for _, edge in allowed])
        kept = [pair for pair, new in zip(allowed, is_new.tolist(), strict=True) if new]
        told = {
            "of a user without consent": len(pairs) - len(allowed),
            "asked by the user before": len(allowed) - len(kept),
        }
        self._not_asked.update({reason: count for reason, count in told.items() if count})
        return kept


class _Edge(NamedTuple):
    row: int  # of the batch
    board: str  # ids as in the catalogue
    number: int  # of the Pin
    pin: str
    user: str | None


def import_queries(
    spec: Rows, source: Source, pins: PinRows, clicks: QueryClicks, quarantine: Quarantine, report: Progress
) -> None:
    """Streams one queries table; a row without a clicks column is one click.

    Raises:
        SpecError: none of its rows could be kept.
    """
    tally = source.tally
    for batch in scan(source, quarantine, ROWS):
        columns = {name: batch.columns[column.name] for name, column in spec.columns.items()}
        refused = dict[int, str]()
        queries = ids("query", lambda cell: word(cell, marks=False), columns["query"], refused)
        found = pins.find(columns["pin_id"], refused, tally)
        counts = columns.get("clicks", [1] * len(queries))
        summed = Counter[tuple[str, int, str]]()
        for row, query in enumerate(queries):
            if row in refused:
                continue
            try:
                summed[query, *found[row]] += named("clicks", count, counts[row]) or 1
            except BadValue as bad:
                refused[row] = str(bad)
        for row in sorted(refused):
            key = row_key(columns["query"][row], columns["pin_id"][row])
            quarantine.refuse(tally, key, refused[row], batch.place(row))
        clicks.add(summed)
        tally.kept += len(queries) - len(refused)
        report(batch.done, f"{tally.kept:,} of {tally.read:,} query rows kept")
    require_rows(source)


def _board(cell: Any) -> str | None:
    return word(identifier(cell, marks=True))
