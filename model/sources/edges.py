"""Boards and queries of a spec: rows that point at imported Pins; a row that names no imported Pin is refused."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from model.catalogue import BOARDS, CatalogueWriter
from model.errors import SpecError
from model.sources.keys import Spellings, plain
from model.sources.pairs import QueryClicks, Seen
from model.sources.report import Quarantine, Tally
from model.sources.spec import BoardTitles, Rows
from model.sources.tables import Batch, Source, require_rows, scan
from model.sources.times import time_reader
from model.sources.values import BadValue, count, named, text, word

ROWS = 16_384
Progress = Callable[[float, str], None]


class PinRows:
    """The imported Pins: the row of each id as tables write it, and the ids as the catalogue has them."""

    def __init__(self, rows: Mapping[str, int], prefix: str) -> None:
        self._rows = rows
        self.spellings = Spellings(rows)
        self.ids = [prefix + pin_id for pin_id in rows]

    def row(self, cell: Any, tally: Tally) -> int:
        """The row of the Pin that a cell names.

        Raises:
            BadValue: it names none.
        """
        if type(cell) is str and cell in self._rows:
            return self._rows[cell]
        pin_id = named("pin_id", text, cell)
        if pin_id is None:
            raise BadValue("no pin_id")
        found = self.spellings.find(pin_id)
        if found is None:
            tally.example = tally.example or self.spellings.example(pin_id)
            raise BadValue("no such Pin in the catalogue")
        return self._rows[found]


class BoardImporter:
    """Writes one row a (board, Pin) and, where the spec asks for it, collects the titles as queries."""

    def __init__(self, pins: PinRows, titles: BoardTitles | None, clicks: QueryClicks) -> None:
        self.pins, self.titles, self.clicks = pins, titles, clicks
        self.kept = self.titled = 0  # board rows, and those that became query rows
        self._boards: dict[str, int] = {}  # id as in the catalogue -> its number
        self._seen = Seen()

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
        earlier, ids = len(self._boards), _Ids(self._boards, spec.prefix)
        for batch in scan(source, quarantine, ROWS):
            rows, boards, pins = self._edges(spec, batch, ids, tally, quarantine)
            cells = {name: [batch.columns[columns[name].name][row] for row in rows] for name in columns}
            kept = {
                "board_id": [ids.names[board] for board in boards],
                "pin_id": [self.pins.ids[pin] for pin in pins],
                "title": [_optional("title", word, cell, tally) for cell in cells.get("title", ())],
                "saved_at": [_optional("saved_at", read_time, cell, tally) for cell in cells.get("saved_at", ())],
            }
            if rows:
                writer.write("boards", pa.table([kept[name] for name in schema.names], schema=schema))
            self._ask(batch, rows, kept["title"], pins)
            tally.kept += len(rows)
            report(batch.done, f"{tally.kept:,} of {tally.read:,} board rows kept")
        self.kept += tally.kept
        shared = sum(board < earlier for board in ids.met)
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
        self, spec: Rows, batch: Batch, ids: "_Ids", tally: Tally, quarantine: Quarantine
    ) -> tuple[list[int], list[int], list[int]]:
        """Rows of the batch that are kept, their boards and their Pins; the others go to quarantine, in order."""
        board_cells, pin_cells = (batch.columns[spec.columns[name].name] for name in ("board_id", "pin_id"))
        found: list[tuple[int, int, int]] = []
        refused: list[tuple[int, str]] = []
        for row, (board_cell, pin_cell) in enumerate(zip(board_cells, pin_cells, strict=True)):
            try:
                found.append((row, ids.number(board_cell), self.pins.row(pin_cell, tally)))
            except BadValue as bad:
                refused.append((row, str(bad)))
        rows, boards, pins = (list(column) for column in zip(*found, strict=True)) if found else ([], [], [])
        is_new = self._seen.new(boards, pins).tolist()
        refused += [(row, "the Pin is on this board already") for row, new in zip(rows, is_new, strict=True) if not new]
        for row, reason in sorted(refused):
            key = _key(board_cells[row], pin_cells[row])
            quarantine.refuse(tally, key, reason, batch.place(row))
        if all(is_new):
            return rows, boards, pins
        kept = [edge for edge, new in zip(found, is_new, strict=True) if new]
        return [row for row, _, _ in kept], [board for _, board, _ in kept], [pin for _, _, pin in kept]

    def _ask(self, batch: Batch, rows: list[int], titles: list[str | None], pins: list[int]) -> None:
        """Titles of the kept rows that the spec chooses become queries."""
        if self.titles is None or not titles:
            return
        where = self.titles.where
        asked = where.keep(batch.columns) if where else [True] * len(batch.numbers)
        chosen = Counter(
            (title, self.pins.ids[pin])
            for row, title, pin in zip(rows, titles, pins, strict=True)
            if title and asked[row]
        )
        self.clicks.add(chosen)
        self.titled += chosen.total()


class _Ids:
    """Numbers of boards by the cells that name them."""

    def __init__(self, boards: dict[str, int], prefix: str) -> None:
        self._boards, self._prefix = boards, prefix
        self._by_text: dict[str, int] = {}
        self.names = list(boards)
        self.met: set[int] = set()

    def number(self, cell: Any) -> int:
        if type(cell) is str and cell in self._by_text:
            return self._by_text[cell]
        written = named("board_id", word, cell)
        if written is None:
            raise BadValue("no board_id")
        board_id = self._prefix + plain(written)
        number = self._boards.setdefault(board_id, len(self._boards))
        if number == len(self.names):
            self.names.append(board_id)
        self.met.add(number)
        self._by_text[written] = number
        return number


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
        counts = columns.get("clicks", [1] * len(batch.numbers))
        summed = Counter[tuple[str, str]]()
        for index, cells in enumerate(zip(columns["query"], columns["pin_id"], counts, strict=True)):
            try:
                query = named("query", lambda cell: word(cell, marks=False), cells[0])
                if query is None:
                    raise BadValue("no query")
                pin_id = pins.ids[pins.row(cells[1], tally)]
                summed[query, pin_id] += named("clicks", count, cells[2]) or 1
            except BadValue as bad:
                quarantine.refuse(tally, _key(cells[0], cells[1]), str(bad), batch.place(index))
                continue
            tally.kept += 1
        clicks.add(summed)
        report(batch.done, f"{tally.kept:,} of {tally.read:,} query rows kept")
    require_rows(source)


def _optional(name: str, read: Callable[[Any], Any], cell: Any, tally: Tally) -> Any:
    try:
        return read(cell)
    except BadValue as bad:
        tally.left_empty[f"{name} {bad}"] += 1
        return None


def _key(end_cell: Any, pin_cell: Any) -> str | None:
    """`board → pin` or `query → pin`; nothing for a row that lacks one."""
    try:
        end, pin_id = text(end_cell), text(pin_cell)
    except BadValue:
        return None
    return f"{end} → {pin_id}" if end and pin_id else None
