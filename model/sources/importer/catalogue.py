"""`pinclip import`: a user's tables become a catalogue, with a report of what was kept, dropped and why.

    report = import_catalogue(load_spec(Path("specs/emoji.yaml"), root), Path("catalogues/emoji"))
    report.rows()

Beside the folders of its tables the catalogue gets `import.json` (the report) and `quarantine.parquet` (table, key,
reason, place: one row a refused row).
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from model.config import PrepareConfig
from model.data.catalogue import CatalogueWriter
from model.errors import CatalogueError, SpecError
from model.files import replaced
from model.sources.importer.edges import BoardImporter, PinRows, import_queries
from model.sources.importer.images import ImageFinder
from model.sources.importer.lookups import LookupTable
from model.sources.importer.pairs import QueryClicks
from model.sources.importer.pins import PinReader, import_pins
from model.sources.importer.report import ImportReport, Quarantine, Tally
from model.sources.importer.scratch import scratch
from model.sources.importer.spec.checks import Column
from model.sources.importer.spec.definition import Annotations, BoardTitles, Lookup, Rows, Spec, Table
from model.sources.importer.tables.stream import Source, open_source, require_rows
from model.sources.importer.tables.table_files import check_name
from model.sources.importer.users import ListedUsers, import_preferences
from model.sources.importer.values.id_spellings import Spellings

Progress = Callable[[float, str], None]


def _silent(fraction: float, message: str) -> None:
    pass


@dataclass(frozen=True)
class _Plan:
    """All tables of the spec, opened first, so that a mistake in any of them is found before the import starts."""

    pins: Source
    lookups: dict[str, tuple[Lookup, Source]]
    users: list[tuple[Rows, Source]]
    boards: list[tuple[Rows, Source]]
    preferences: list[tuple[Rows, Source]]
    queries: list[tuple[Rows, Source]]
    titles: BoardTitles | None

    def sources(self) -> Iterator[Source]:
        yield self.pins
        for _, source in (*self.lookups.values(), *self.users, *self.boards, *self.preferences, *self.queries):
            yield source


def import_catalogue(spec: Spec, out: Path, report: Progress = _silent) -> ImportReport:
    """Writes the catalogue `out`; on any error an older one there stays as it was.

    Raises:
        SpecError: missing files or columns, unreadable tables, a section without any usable row.
        CatalogueError: no Pin could be kept, or `out` is a folder that is no catalogue.
    """
    check_name(out.absolute())
    plan = _plan(spec)
    _check_target(out, spec, plan)
    try:
        result = _write(spec, plan, out, report)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise CatalogueError(f"{out} cannot be written ({reason}); choose another --out.") from None
    report(1.0, f"wrote {out}")
    return result


def _write(spec: Spec, plan: _Plan, out: Path, report: Progress) -> ImportReport:
    with replaced(out.resolve()) as folder:  # resolved, so that a symbolic link keeps pointing at the catalogue
        folder.mkdir()
        # The writer renames its own folder into place; its tables then move up beside the quarantine.
        with (
            Quarantine(folder / "quarantine.parquet") as quarantine,
            CatalogueWriter(folder / "tables") as writer,
            scratch(folder / "scratch.sqlite") as db,
        ):
            tallies = _import(spec, plan, writer, quarantine, db, report)
        for table in (folder / "tables").iterdir():
            table.replace(folder / table.name)
        (folder / "tables").rmdir()
        result = ImportReport(spec.path.name, tuple(tallies), quarantine.count)
        result.save(folder / "import.json")
    return result


def _import(
    spec: Spec,
    plan: _Plan,
    writer: CatalogueWriter,
    quarantine: Quarantine,
    db: sqlite3.Connection,
    report: Progress,
) -> list[Tally]:
    """The tables in order: children of Pins, Pins, users, boards, preferences, queries."""

    def part(start: float, end: float) -> Progress:
        return lambda done, message: report(start + (end - start) * done, message)

    lookups = {
        name: LookupTable(lookup, source, quarantine, db, f"lookup{number}")
        for number, (name, (lookup, source)) in enumerate(plan.lookups.items())
    }
    where, known = spec.pins.image, Spellings(db, "pins")
    images = ImageFinder(spec.root / where.folder, PrepareConfig().max_image_bytes, where.is_base64)
    reader = PinReader(spec.pins, images, lookups, plan.pins.absent, plan.pins.tally, known)
    import_pins(reader, plan.pins, writer, quarantine, part(0.0, 0.8))
    pins = PinRows(known, spec.pins.prefix)
    for table in lookups.values():
        table.settle(known)
        require_rows(table.source)
    clicks = QueryClicks(db, "pins")
    users = ListedUsers(db)
    for rows, source in plan.users:
        users.run(rows, source, writer, quarantine, part(0.8, 0.8))
    boards = BoardImporter(pins, users.usable, plan.titles, clicks, db)
    for rows, source in plan.boards:
        boards.run(rows, source, writer, quarantine, part(0.8, 0.9))
    for rows, source in plan.preferences:
        import_preferences(rows, source, pins, writer, quarantine, part(0.9, 0.9))
    for rows, source in plan.queries:
        import_queries(rows, source, pins, clicks, quarantine, part(0.9, 1.0))
    written = clicks.write(writer, spec.pins.prefix)
    tallies = [source.tally for source in plan.sources()]
    if plan.titles:
        tallies.append(boards.title_tally())
    if written:
        tallies[-1].notes.append(f"{written:,} distinct (query, pin) pairs in all")
    return tallies


def _plan(spec: Spec) -> _Plan:
    pins = spec.pins
    named = {**pins.columns, "annotations": pins.annotations}
    lookups = {name: source for name, source in named.items() if isinstance(source, Lookup)}
    columns = [source for source in pins.columns.values() if isinstance(source, Column)]
    columns += [pins.pin_id, *([pins.image.column] if pins.image.column else [])]
    columns += pins.annotations.columns if isinstance(pins.annotations, Annotations) else ()
    titles = next((source for source in spec.queries if isinstance(source, BoardTitles)), None)
    asked = [Column(name) for name in titles.where.columns] if titles and titles.where else []

    def opened(table: Table, columns: Iterable[Column]) -> Source:
        return open_source(table, spec.root, columns)

    plan = _Plan(
        opened(pins.table, columns),
        {name: (lookup, opened(lookup.table, lookup.columns())) for name, lookup in lookups.items()},
        [(rows, opened(rows.table, rows.columns.values())) for rows in spec.users],
        [(rows, opened(rows.table, [*rows.columns.values(), *asked])) for rows in spec.boards],
        [(rows, opened(rows.table, rows.columns.values())) for rows in spec.preferences],
        [(rows, opened(rows.table, rows.columns.values())) for rows in spec.queries if isinstance(rows, Rows)],
        titles,
    )
    if not (spec.root / pins.image.folder).is_dir():
        raise SpecError(f"pins.image: there is no folder {pins.image.folder} in {spec.root}; correct its path.")
    return plan


def _check_target(out: Path, spec: Spec, plan: _Plan) -> None:
    """The target folder is replaced as a whole, so it must be a catalogue and must not contain the tables to import."""
    is_catalogue = any((out / "pins").glob("*.parquet"))
    is_empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not is_catalogue and not is_empty:
        raise CatalogueError(f"{out} exists and is no catalogue; choose another --out, or move it away.")
    target = out.resolve()
    read = [spec.root, *(file for source in plan.sources() for file in source.files)]
    if any(path.resolve().is_relative_to(target) for path in read):
        raise CatalogueError(f"{out} holds the tables to import and would be replaced; choose another --out.")
