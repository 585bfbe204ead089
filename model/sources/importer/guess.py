"""`pinclip import --guess TABLES…`: a first spec for tables that nobody has described, with its reasons as comments.

print(guess([Path("items.parquet"), Path("boards.csv")], root=Path(".")))
"""

import glob
import os
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from model.data.images.formats import ENDINGS
from model.errors import SpecError
from model.sources.importer import roles
from model.sources.importer.spec.checks import Column
from model.sources.importer.spec.definition import Table
from model.sources.importer.spec.dialect import Dialect
from model.sources.importer.tables.stream import first_rows, open_source, table_columns
from model.sources.importer.values.cells import BadValue, text
from model.sources.importer.values.keys import Spellings

SAMPLE = 1000  # rows looked at
IDS = 100_000  # of Pins, to find the column of another table that names them


@dataclass(frozen=True)
class Sample:
    """The first rows of files with the same columns."""

    table: str  # as the spec names it
    columns: dict[str, list[Any]]
    unquoted: bool  # its quotes are no quotes

    def opening(self) -> list[str]:
        lines = [f"  table: {self.table}"]
        if self.unquoted:
            lines.append("  quotes: none  # read with quotes, lines of this file would run into each other")
        return lines


def guess(tables: Sequence[Path], root: Path) -> str:
    """The text of a spec whose paths start at `root`.

    Raises:
        SpecError: a table is unreadable, or none of them holds Pins.
    """
    samples = [_sample(files, root) for files in _groups(tables)]
    pins = _pins_table(samples)
    image, image_line = _image(pins, root)
    pin_id = _pin_id(pins, image)
    lines = ["# Guessed from the first rows of each table; check every line, docs/specs.md explains them.", "pins:"]
    lines += pins.opening()
    lines += _line("pin_id", _name(pin_id), "every row has its own" if roles.is_unique(pins.columns[pin_id]) else "")
    lines += [image_line, *_pin_columns(pins, {pin_id, image or ""})]
    known = Spellings(sqlite3.connect(":memory:"), "pins")
    known.add([key for cell in _ids(pins, pin_id, root) if (key := _key(cell)) is not None])
    boards, queries, unused = list[str](), list[str](), list[str]()
    board_ids = set[str]()
    for sample in samples:
        if sample is pins:
            continue
        kind, found = _other(sample, known, pin_id)
        if kind == "boards":
            found += _prefix(sample, found, board_ids)
        {"boards": boards, "queries": queries, "annotations": lines, "unused": unused}[kind].extend(found)
    titled = any(line.strip().startswith("title:") for line in boards)
    if boards:
        lines += ["boards:", *boards]
    if queries:
        lines += ["queries:", *queries]
    elif titled:
        lines += ["queries:", "  from: board_titles  # no table of searches, so every board's title asks for its Pins"]
    return "\n".join(lines + unused) + "\n"


def _groups(tables: Sequence[Path]) -> list[list[Path]]:
    """Files whose names differ in digits only (photos.tsv000, photos.tsv001) are one table."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in tables:
        if not path.exists():
            raise SpecError(f"There is no file {path}; give tables to guess a spec from.")
        groups.setdefault((path.parent, re.sub(r"\d+", "0", path.name)), []).append(path)
    return [sorted(group) for group in groups.values()]


def _sample(files: Sequence[Path], root: Path) -> Sample:
    named = [glob.escape(os.path.relpath(file, root)) for file in files]
    for dialect in (Dialect(), Dialect(quotes=None, sure=True)):
        try:
            source = open_source(Table("guess", tuple(named), None, False, dialect), root, [])
            columns = [Column(name) for name in table_columns(source.files[0], root, dialect)]
            chunk = first_rows(open_source(Table("guess", tuple(named), None, False, dialect), root, columns), SAMPLE)
        except SpecError as error:
            if dialect.quotes and "a quoted value" in str(error):
                continue
            raise
        if not any("quotes: none" in reason for _, reason in chunk.refused):
            break
    table = _name(named[0]) if len(named) == 1 else "[" + ", ".join(map(_name, named)) + "]"
    return Sample(table, chunk.columns, dialect.quotes is None)


def _pins_table(samples: Sequence[Sample]) -> Sample:
    """The table with pictures; without one, the table whose ids are unique and which says most about each."""
    for wanted in ("bytes", "base64", "path", "address"):
        for sample in samples:
            if any(roles.image_kind(cells) == wanted for cells in sample.columns.values()):
                return sample
    unique = [sample for sample in samples if any(map(roles.is_unique, sample.columns.values()))]
    if not unique:
        raise SpecError("none of the tables looks like Pins: no column of pictures, and none of ids that are unique.")
    described = (*roles.TITLES, *roles.DESCRIPTIONS, *roles.CAPTIONS)
    return max(unique, key=lambda sample: (roles.by_name(sample.columns, described) is not None, len(sample.columns)))


def _pin_id(pins: Sample, image: str | None) -> str:
    unique = [name for name, cells in pins.columns.items() if name != image and roles.is_unique(cells)]
    ids = [name for name in unique if name.lower().endswith("id")]
    single = [name for name in unique if not any(" " in str(cell).strip() for cell in pins.columns[name])]
    by_image = [image] if image and roles.is_unique(pins.columns[image]) else []
    found = roles.by_name(unique, roles.PIN_IDS) or next(iter([*ids, *single, *by_image, *unique]), None)
    found = found or roles.by_name(pins.columns, roles.PIN_IDS)
    if found is None:
        raise SpecError(f"{pins.table} has no column of ids that are unique; write the spec by hand (docs/specs.md).")
    return found


def _image(pins: Sample, root: Path) -> tuple[str | None, str]:
    kinds = {name: roles.image_kind(cells) for name, cells in pins.columns.items()}
    for name, kind in kinds.items():
        if kind == "bytes":
            return name, f"  image: {_name(name)}  # its cells are pictures"
        if kind == "base64":
            return name, f"  image: {{column: {_name(name)}, encoding: base64}}  # its cells are pictures as text"
    for name, kind in kinds.items():
        if kind == "path":
            folders = _folders(root, pins.table, [str(cell).strip() for cell in roles.filled(pins.columns[name])])
            if not folders:
                return name, f"  image: {_name(name)}  # names of picture files, but none lies in {root}: give a folder"
            reason = "the files are in that folder"
            if folders[1:]:
                reason += f", and files of these names in {', '.join(folders[1:])} too: choose"
            return name, f"  image: {{column: {_name(name)}, folder: {_name(folders[0])}}}  # {reason}"
    folder = next((path.name for path in sorted(root.iterdir()) if path.is_dir() and _holds_pictures(path)), "images")
    return None, f"  image: {{folder: {_name(folder)}}}  # no column names pictures, so files <pin_id>.jpg, .png, …"


def _folders(root: Path, table: str, names: Sequence[str]) -> list[str]:
    """Folders that hold the named files, the table's own first."""
    own = yaml.safe_load(table)
    own = os.path.dirname(own[0] if isinstance(own, list) else own)  # noqa: PTH120 (relative, also "")
    near = [path.name for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    names = [name.replace("\\", "/") for name in names[:20]]
    folders = dict.fromkeys([own or ".", ".", *near])
    return [folder for folder in folders if any((root / folder / name).is_file() for name in names)]


def _holds_pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in ENDINGS for path in folder.iterdir())


def _pin_columns(pins: Sample, taken: set[str]) -> list[str]:
    lines = list[str]()
    rest = [name for name in pins.columns if name not in taken]
    wanted: Sequence[str]
    for key, wanted in (("title", roles.TITLES), ("description", roles.DESCRIPTIONS), ("caption", roles.CAPTIONS)):
        found = roles.by_name(rest, wanted)
        if found and roles.filled(pins.columns[found]):
            lines += _line(key, _name(found), "by its name")
            rest.remove(found)
    listed = {name: roles.list_options(pins.columns[name]) for name in rest}
    words = roles.by_name([name for name in rest if listed[name] is not None], roles.ANNOTATIONS)
    if words:
        options = "".join(f", {key}: {_name(value)}" for key, value in (listed[words] or {}).items())
        value = f"{{column: {_name(words)}{options}}}" if options else _name(words)
        lines += _line("annotations", value, "each cell is a list of words")
        rest.remove(words)
    lines += _time("created_at", pins, rest, roles.CREATED)
    for key, names in (("group_id", roles.GROUPS), ("consent", roles.CONSENTS)):
        found = roles.by_name(rest, names)
        if found:
            lines += _line(key, _name(found), "by its name")
            rest.remove(found)
    slices = [name for name in rest if roles.by_name([name], roles.SLICES) and roles.filled(pins.columns[name])]
    if slices:
        lines.append("  slices:  # groups that the fairness report compares")
        lines += [f"    {re.sub(r'[^0-9A-Za-z_]', '_', name)}: {_name(name)}" for name in slices]
    return lines + _unused(pins, [name for name in rest if name not in slices])


def _unused(pins: Sample, names: Sequence[str]) -> list[str]:
    """A comment on the columns that nothing was found for; times among them by name."""
    times = [name for name in names if roles.time_format(pins.columns[name]) is not None]
    return [f"  # not used: {', '.join(names)}" + (f"; times: {', '.join(times)}" if times else "")] if names else []


def _other(sample: Sample, known: Spellings, pin_id: str) -> tuple[str, list[str]]:
    """(boards, queries, annotations or unused; the lines)."""
    pin = _pin_column(sample, known, pin_id)
    if pin is None:
        return "unused", [f"# {sample.table} is not used: none of its columns names Pins."]
    rest = [name for name in sample.columns if name != pin]
    table = sample.table.lower()
    board, query = roles.by_name(rest, roles.BOARD_IDS), roles.by_name(rest, roles.QUERIES)
    opening = [line if number else f"  -{line[1:]}" for number, line in enumerate(sample.opening())]
    opening = [opening[0], *(f"  {line}" for line in opening[1:])]
    reference = f"    pin_id: {_name(pin)}  # its values are ids of Pins"
    if query and (re.search("search|quer|click|conver", table) or (not board and query.lower() != "keyword")):
        lines = [*opening, f"    query: {_name(query)}  # by its name", reference]
        clicks = roles.by_name(rest, roles.CLICKS)
        return "queries", lines + ([f"    clicks: {_name(clicks)}"] if clicks else [])
    words = roles.by_name(rest, roles.ANNOTATIONS)
    if words and not board:
        by = next((name for name in rest if any(weight in name.lower() for weight in roles.WEIGHTS)), None)
        more = f", by: {_name(by)}" if by else ""
        value = f"{{table: {sample.table}, key: {_name(pin)}, value: {_name(words)}{more}}}"
        return "annotations", _line("annotations", value, "a table of words")
    board = board or next((name for name in rest if name.lower().endswith("_id")), None)
    if board is None:
        return "unused", [
            f"# {sample.table} is not used: it names Pins by {pin}, but neither boards nor queries; if a column "
            f"groups Pins, write boards: {{table: {sample.table}, board_id: …, pin_id: {_name(pin)}}}."
        ]
    lines = [*opening, f"    board_id: {_name(board)}  # the things that hold several Pins", reference]
    title = roles.by_name([name for name in rest if name != board], roles.BOARD_TITLES)
    lines += [f"    title: {_name(title)}"] if title else []
    return "boards", lines + [f"  {line}" for line in _time("saved_at", sample, rest, roles.SAVED)]


def _prefix(sample: Sample, lines: list[str], earlier: set[str]) -> list[str]:
    """A prefix where the table numbers its boards like an earlier one; adds its ids to `earlier`."""
    board = yaml.safe_load("\n".join(lines))[0]["board_id"]
    found = {key for cell in sample.columns[board] if (key := _key(cell))}
    shared = bool(found & earlier)
    earlier |= found
    name = re.sub(r"\W.*", "", Path(sample.table).stem) or "boards"
    return [f"    prefix: {name}-  # an earlier table has boards of the same ids"] if shared else []


def _pin_column(sample: Sample, known: Spellings, pin_id: str) -> str | None:
    """The column most of whose values are ids of Pins; among equals the one that is named like it."""
    shares = {}
    for name, cells in sample.columns.items():
        keys = [key for key in map(_key, roles.filled(cells)) if key]
        found = known.find(keys)
        shares[name] = sum(key in found for key in keys) / len(keys) if keys else 0.0
    ids = (pin_id.lower(), *roles.PIN_IDS)
    best = max(shares, key=lambda name: (round(shares[name], 1), roles.by_name([name], ids) is not None))
    return best if shares[best] >= 0.1 else None


def _time(key: str, sample: Sample, names: list[str], wanted: Sequence[str]) -> list[str]:
    formats = {name: roles.time_format(sample.columns[name]) for name in names}
    times = [name for name in names if formats[name] is not None]
    ending = [name for name in times if re.search("(_at|date|time)$", name.lower())]
    found = roles.by_name(times, wanted) or next(iter(ending), None)
    if found is None:
        return []
    format = formats[found]
    value = f"{{column: {_name(found)}, format: {_name(format)}}}" if format else _name(found)
    names.remove(found)
    return _line(key, value, "its values are times")


def _ids(pins: Sample, pin_id: str, root: Path) -> list[Any]:
    named = yaml.safe_load(pins.table)
    dialect = Dialect(quotes=None) if pins.unquoted else Dialect()
    table = Table("guess", tuple(named if isinstance(named, list) else [named]), None, False, dialect)
    return first_rows(open_source(table, root, [Column(pin_id)]), IDS).columns[pin_id]


def _key(cell: Any) -> str | None:
    try:
        return text(cell)
    except BadValue:
        return None


def _line(key: str, value: str, reason: str) -> list[str]:
    return [f"  {key}: {value}" + (f"  # {reason}" if reason else "")]


def _name(value: str) -> str:
    """As YAML, within a mapping on one line too."""
    return yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10**6).strip()[1:-1]
