"""Boards and queries of a spec: rows that point at imported Pins; a row that names no imported Pin is refused."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from model.catalogue import BOARDS, QUERIES, CatalogueWriter
from model.errors import SpecError
from model.sources.pins import named
from model.sources.report import Quarantine, Tally
from model.sources.spec import BoardTitles, Column
from model.sources.tables import Batch, Source, require_rows, scan
from model.sources.values import BadValue, count, moment, text

ROWS = 16_384


class QueryClicks:
    """Clicks summed by (query, pin_id); batches are summed first, so that millions of clicks stay small."""

    def __init__(self) -> None:
        self._parts: list[pa.Table] = []

    def add(self, clicks: Mapping[tuple[str, str], int]) -> None:
        queries, pins = [query for query, _ in clicks], [pin_id for _, pin_id in clicks]
        self._parts.append(pa.table([queries, pins, list(clicks.values())], schema=QUERIES))

    def write(self, writer: CatalogueWriter) -> int:
        """Writes one row a (query, Pin) in order of first appearance; returns how many."""
        if not self._parts:
            return 0
        # One thread: the order of groups is that of their first rows.
        grouped = pa.concat_tables(self._parts).group_by(["query", "pin_id"], use_threads=False)
        summed = grouped.aggregate([("clicks", "sum")]).rename_columns({"clicks_sum": "clicks"})
        writer.write("queries", summed.select(QUERIES.names))
        return summed.num_rows


class BoardImporter:
    """Writes one row a (board, Pin) and, where the spec asks for it, collects the titles as queries."""

    def __init__(self, pins: Mapping[str, int], titles: BoardTitles | None, clicks: QueryClicks) -> None:
        self.pins, self.titles, self.clicks = pins, titles, clicks
        self.titled = 0  # board rows that became query rows
        self._boards: dict[str, int] = {}
        self._seen: set[int] = set()

    def run(
        self,
        columns: Mapping[str, Column],
        source: Source,
        writer: CatalogueWriter,
        quarantine: Quarantine,
        report: Callable[[float, str], None],
    ) -> None:
        """Streams one boards table of the spec.

        Raises:
            SpecError: none of its rows could be kept.
        """
        schema = pa.schema([BOARDS.field(name) for name in columns if columns[name].name not in source.absent])
        for batch in scan(source, quarantine, ROWS):
            asked = self._asked(batch)
            rows, clicks = [], Counter[tuple[str, str]]()
            for (place, record), is_query in zip(batch.records(), asked, strict=True):
                try:
                    row = self._row(columns, record)
                except BadValue as bad:
                    quarantine.refuse(source.tally, _edge_key(record, columns, "board_id", place), str(bad))
                    continue
                rows.append(row)
                if is_query and row.get("title"):
                    clicks[row["title"], row["pin_id"]] += 1
            if rows:
                writer.write("boards", pa.Table.from_pylist(rows, schema=schema))
            self.clicks.add(clicks)
            self.titled += clicks.total()
            source.tally.kept += len(rows)
            report(batch.done, f"{source.tally.kept:,} of {source.tally.read:,} board rows kept")
        require_rows(source)

    def _asked(self, batch: Batch) -> list[bool]:
        """Whether each row's title becomes a query."""
        if self.titles is None or self.titles.where is None:
            return [self.titles is not None] * len(batch.numbers)
        return self.titles.where.keep(batch.columns)

    def title_tally(self) -> Tally:
        """Board rows that became queries, of all that were kept.

        Raises:
            SpecError: there are boards, and no title became a query.
        """
        kept = len(self._seen)
        if kept and not self.titled:
            where = f" and fits where {self.titles.where.text}" if self.titles and self.titles.where else ""
            raise SpecError(f"queries from board_titles gave nothing: no board row has a title{where}; check both.")
        dropped = Counter({"not chosen, or without a title": kept - self.titled}) if kept > self.titled else Counter()
        return Tally("queries from board_titles", kept, self.titled, dropped)

    def _row(self, columns: Mapping[str, Column], record: Mapping[str, Any]) -> dict[str, Any]:
        board_id = _required("board_id", columns, record)
        pin_id = _pin(columns, record, self.pins)
        row = {"board_id": board_id, "pin_id": pin_id}
        if "title" in columns:
            row["title"] = named("title", text, record[columns["title"].name])
        if "saved_at" in columns:
            row["saved_at"] = named("saved_at", moment, record[columns["saved_at"].name])
        # Board and Pin numbers in one int: a set of these is a third of a set of string pairs.
        edge = self._boards.setdefault(board_id, len(self._boards)) << 32 | self.pins[pin_id]
        if edge in self._seen:
            raise BadValue("the Pin is on this board already")
        self._seen.add(edge)
        return row


def import_queries(
    columns: Mapping[str, Column],
    source: Source,
    pins: Mapping[str, int],
    clicks: QueryClicks,
    quarantine: Quarantine,
    report: Callable[[float, str], None],
) -> None:
    """Streams one queries table; a row without a clicks column is one click.

    Raises:
        SpecError: none of its rows could be kept.
    """
    for batch in scan(source, quarantine, ROWS):
        summed = Counter[tuple[str, str]]()
        for place, record in batch.records():
            try:
                query, pin_id = _required("query", columns, record), _pin(columns, record, pins)
                cell = record[columns["clicks"].name] if "clicks" in columns else None
                summed[query, pin_id] += named("clicks", count, cell) or 1
            except BadValue as bad:
                quarantine.refuse(source.tally, _edge_key(record, columns, "query", place), str(bad))
                continue
            source.tally.kept += 1
        clicks.add(summed)
        report(batch.done, f"{source.tally.kept:,} of {source.tally.read:,} query rows kept")
    require_rows(source)


def _required(name: str, columns: Mapping[str, Column], record: Mapping[str, Any]) -> str:
    value = named(name, text, record[columns[name].name])
    if value is None:
        raise BadValue(f"no {name}")
    return value


def _pin(columns: Mapping[str, Column], record: Mapping[str, Any], pins: Mapping[str, int]) -> str:
    pin_id = _required("pin_id", columns, record)
    if pin_id not in pins:
        raise BadValue("no such Pin in the catalogue")
    return pin_id


def _edge_key(record: Mapping[str, Any], columns: Mapping[str, Column], name: str, place: str) -> str:
    """`board → pin` or `query → pin`; the place of a row that lacks one."""
    try:
        end, pin_id = text(record[columns[name].name]), text(record[columns["pin_id"].name])
    except BadValue:
        return place
    return f"{end} → {pin_id}" if end and pin_id else place
