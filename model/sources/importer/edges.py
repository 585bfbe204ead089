"""Boards and queries of a spec: rows that point at imported Pins; a row that names no imported Pin is refused."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from model.data.catalogue import BOARDS, CatalogueWriter
from model.errors import SpecError
from model.sources.importer.pairs import QueryClicks, Seen
from model.sources.importer.report import Quarantine, Tally
from model.sources.importer.scratch import Names
from model.sources.importer.spec.definition import BoardTitles, Rows
from model.sources.importer.tables.stream import Source, TableBatch, require_rows, scan
from model.sources.importer.values.cells import BadValue, count, identifier, named, text, word
from model.sources.importer.values.id_spellings import Spellings, plain_key
from model.sources.importer.values.times import time_reader

ROWS = 16_384
Progress = Callable[[float, str], None]


class PinRows:
    """The imported Pins: the number of each, and its id as the catalogue has it, by the cells that name it."""

    def __init__(self, known: Spellings, prefix: str) -> None:
        self._known, self._prefix = known, prefix

    def find(self, cells: Sequence[Any], refused: dict[int, str], tally: Tally) -> list[tuple[int, str]]:
        """(number, id) for each cell; the row of a cell that names none gets its reason in `refused`."""
        keys = _names("pin_id", identifier, cells, refused)
        found = self._known.find([key for key in dict.fromkeys(keys) if key])
        named = {key: (number, self._prefix + name) for key, (number, name) in found.items()}
        for row, key in enumerate(keys):
            if key not in named and row not in refused:
                tally.example = tally.example or self._known.example(key)
                refused[row] = "no such Pin in the catalogue"
        return [named.get(key, (-1, "")) for key in keys]


class BoardImporter:
    """Writes one row a (board, Pin) and, where the spec asks for it, collects the titles as queries."""

    def __init__(self, pins: PinRows, titles: BoardTitles | None, clicks: QueryClicks, db: sqlite3.Connection) -> None:
        self.pins, self.titles, self.clicks = pins, titles, clicks
        self.kept = self.titled = 0  # board rows, and those that became query rows
        self._boards, self._seen = Names(db, "boards"), Seen(db)
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
                "title": _optional("title", word, cells.get("title", ()), tally),
                "saved_at": _optional("saved_at", read_time, cells.get("saved_at", ()), tally),
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
        left = self.kept - self.titled
        dropped = Counter({"not chosen, or without a title": left}) if left else Counter[str]()
        return Tally("queries from board_titles", self.kept, self.titled, dropped)

    def _edges(
        self, spec: Rows, batch: TableBatch, earlier: int, tally: Tally, quarantine: Quarantine
    ) -> list["_Edge"]:
        """The rows that are kept; the others go to quarantine, in order. `earlier`: boards of earlier tables."""
        board_cells, pin_cells = (batch.columns[spec.columns[name].name] for name in ("board_id", "pin_id"))
        refused = dict[int, str]()
        written = _names("board_id", _board, board_cells, refused)
        names = {name: spec.prefix + plain_key(name) for name in dict.fromkeys(written) if name}
        numbers = self._boards.add(list(names.values()))
        self._repeated.add([name for name, number in numbers.items() if number < earlier])
        pins = self.pins.find(pin_cells, refused, tally)
        rows = [row for row in range(len(written)) if row not in refused]
        boards = [names[written[row]] for row in rows]
        is_new = self._seen.new([numbers[board] for board in boards], [pins[row][0] for row in rows])
        edges = list[_Edge]()
        for row, board, new in zip(rows, boards, is_new.tolist(), strict=True):
            if new:
                edges.append(_Edge(row, board, *pins[row]))
            else:
                refused[row] = "the Pin is on this board already"
        for row in sorted(refused):
            quarantine.refuse(tally, _key(board_cells[row], pin_cells[row]), refused[row], batch.place(row))
        return edges

    def _ask(self, batch: TableBatch, edges: Sequence["_Edge"], titles: Sequence[str | None]) -> None:
        """Titles of the kept rows that the spec chooses become queries."""
        if self.titles is None or not titles:
            return
        where = self.titles.where
        asked = where.keep(batch.columns) if where else [True] * len(batch.numbers)
        chosen = Counter(
            (title, edge.number, edge.pin)
            for edge, title in zip(edges, titles, strict=True)
            if title and asked[edge.row]
        )
        self.clicks.add(chosen)
        self.titled += chosen.total()


class _Edge(NamedTuple):
    row: int  # of the batch
    board: str  # ids as in the catalogue
    number: int  # of the Pin
    pin: str


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
        queries = _names("query", lambda cell: word(cell, marks=False), columns["query"], refused)
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
            key = _key(columns["query"][row], columns["pin_id"][row])
            quarantine.refuse(tally, key, refused[row], batch.place(row))
        clicks.add(summed)
        tally.kept += len(queries) - len(refused)
        report(batch.done, f"{tally.kept:,} of {tally.read:,} query rows kept")
    require_rows(source)


def _board(cell: Any) -> str | None:
    return word(identifier(cell, marks=True))


def _names(name: str, read: Callable[[Any], str | None], cells: Sequence[Any], refused: dict[int, str]) -> list[str]:
    """The cells as texts; the row of one that is empty or no text is blank and gets its first reason in `refused`."""
    known = dict[str, str]()  # neighbouring rows name the same boards and Pins
    names = []
    for row, cell in enumerate(cells):
        written = known.get(cell) if type(cell) is str else None
        if written is None:
            try:
                written = named(name, read, cell)
                if written is None:
                    raise BadValue(f"no {name}")
            except BadValue as bad:
                refused.setdefault(row, str(bad))
                written = ""
            else:
                if type(cell) is str:
                    known[cell] = written
        names.append(written)
    return names


def _optional(name: str, read: Callable[[Any], Any], cells: Iterable[Any], tally: Tally) -> list[Any]:
    """Values; one that cannot be read is None and counted."""
    known = dict[str, Any]()  # the rows of a board repeat its title
    values = []
    for cell in cells:
        value = known.get(cell) if type(cell) is str else None
        if value is None:
            try:
                value = read(cell)
            except BadValue as bad:
                tally.left_empty[f"{name} {bad}"] += 1
            else:
                if type(cell) is str:
                    known[cell] = value
        values.append(value)
    return values


def _key(end_cell: Any, pin_cell: Any) -> str | None:
    """`board → pin` or `query → pin`; nothing for a row that lacks one."""
    try:
        end, pin_id = text(end_cell), text(pin_cell)
    except BadValue:
        return None
    return f"{end} → {pin_id}" if end and pin_id else None
