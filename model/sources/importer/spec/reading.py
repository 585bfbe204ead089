"""An import spec: a YAML file that says which tables hold Pins, boards, queries and users, and what their columns mean.

docs/specs.md explains every key, with an example each; in short:

    pins:
      table: items.parquet              # a glob, a list of globs, a folder of parts: ../tables/parts.py
      where: licence != "unknown"       # optional: row_filter.py
      pin_id: id
      image: image                      # a column of bytes or of file paths
                                        #   {column: file, folder: images}   paths relative to a folder
                                        #   {folder: images}                 files named <pin_id>.jpg, .png, …
                                        #   {column: image, encoding: base64}  bytes as text, also data:image/…
      title: title                      # likewise description, caption, group_id, created_at, consent
                                        #   created_at: {column: time, format: ms}: ../values/times.py
      annotations: tags                 # a list column, or text; [tags, labels] joins columns
                                        #   {column: tags, separator: ","}   text cut into a list, or format: json
                                        #   {table: keywords.csv, key: id, value: keyword, by: confidence}
      slices: {vendor: vendor}          # for the fairness report: a column, or a {table: …} as above: its first value
    boards:                             # one mapping, or a list of them
      {table: boards.csv, board_id: board, pin_id: item, title: name, saved_at: time, user_id: owner}
    queries:                            # likewise; from: board_titles asks every board's title
      {table: clicks.csv, query: keyword, pin_id: item, clicks: clicks}
    users:                              # likewise: who there is, and who gave consent
      {table: profiles.csv, user_id: id, consent: opt_in}
    preferences:                        # likewise: saves, likes, purchases
      {table: events.csv, user_id: user, pin_id: item, kind: event, weight: value, time: at}

A column written `name?` may be absent. `optional: true` lets a whole table be absent or give nothing. `prefix:` goes
before a table's ids. How its files are written (delimiter, quotes, escape, missing): dialect.py.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from model.data.catalogue import NUMBER_PREFIX, SLICE_PREFIX
from model.errors import SpecError
from model.sources.importer.spec.checks import Column, choice, mapping, named_column, text, wrong
from model.sources.importer.spec.definition import Annotations, BoardTitles, Image, Lookup, Pins, Rows, Spec, Table
from model.sources.importer.spec.dialect import DIALECT_KEYS, Dialect, read_dialect
from model.sources.importer.spec.row_filter import RowFilter, parse, parse_mapping
from model.sources.importer.spec.yaml_file import read_yaml
from model.sources.importer.values.lists import LIST_FORMATS
from model.sources.importer.values.times import check_time_format

PIN_COLUMNS = ("title", "description", "caption", "group_id", "created_at", "consent")
TIMES = ("created_at", "saved_at", "time")
TABLE_KEYS = ("table", "where", *DIALECT_KEYS)
ROW_KEYS = (*TABLE_KEYS, "optional")


def load_spec(path: Path, root: Path | None = None) -> Spec:
    """Reads a spec; its relative paths start at `root`, or at the spec's own folder.

    Raises:
        SpecError: no such file or folder, no YAML, an unknown key (with a did-you-mean) or a value of the wrong type.
    """
    path = Path(path)
    root = Path(root) if root is not None else path.parent
    if not root.is_dir():
        raise SpecError(f"There is no folder {root}; give the folder the spec's paths start at with --root.")
    try:
        return _spec(read_yaml(path), path, root)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def _spec(tree: Any, path: Path, root: Path) -> Spec:
    if not isinstance(tree, dict):
        what = "is empty" if tree is None else f"is a {type(tree).__name__}"
        raise SpecError(f"the spec {what}; begin it with `pins:`, its table and its columns (docs/specs.md).")
    known = ("pins", "boards", "queries", "users", "preferences", *DIALECT_KEYS)
    top = mapping(tree, "the spec", known, required=("pins",))
    base = read_dialect(top, "the spec", Dialect())
    boards = tuple(_boards(section, label, base) for label, section in _sections(top, "boards"))
    queries = tuple(_queries(section, label, base) for label, section in _sections(top, "queries"))
    from_titles = sum(isinstance(source, BoardTitles) for source in queries)
    if from_titles > 1:
        raise SpecError("queries: `from: board_titles` appears twice; join the filters with `or`.")
    if from_titles and not any("title" in board.columns for board in boards):
        raise SpecError("queries from board_titles need boards with a title; add `title:` to boards.")
    users = tuple(_users(section, label, base) for label, section in _sections(top, "users"))
    preferences = tuple(_preferences(section, label, base) for label, section in _sections(top, "preferences"))
    return Spec(path, root, _pins(top["pins"], base), boards, queries, users, preferences)


def _pins(value: Any, base: Dialect) -> Pins:
    known = (*TABLE_KEYS, "pin_id", "prefix", "image", *PIN_COLUMNS, "annotations", "slices", "numbers")
    section = mapping(value, "pins", known, required=("table", "pin_id", "image"))
    plain, formats = _columns(section, "pins", PIN_COLUMNS)
    columns: dict[str, Column | Lookup] = {**plain}
    for name, source in _named(section, "slices"):
        where = f"slices.{name}"
        is_lookup = isinstance(source, dict)
        columns[SLICE_PREFIX + name] = _lookup(source, where, base) if is_lookup else named_column(source, where)
    for name, source in _named(section, "numbers"):
        columns[NUMBER_PREFIX + name] = named_column(source, f"numbers.{name}")
    return Pins(
        _table(section, "pins", base),
        named_column(section["pin_id"], "pins.pin_id"),
        _image(section["image"]),
        columns,
        _annotations(section["annotations"], base) if "annotations" in section else None,
        formats,
        _prefix(section, "pins"),
    )


def _named(section: Mapping[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    """(name, source) of each entry of `slices` or `numbers`."""
    given = section.get(key, {})
    for name, source in mapping(given, f"pins.{key}", given).items():
        if not re.fullmatch(r"\w+", name):
            raise SpecError(f"pins.{key}: {name!r} is no name; use letters, digits and _.")
        yield name, source


def _image(value: Any) -> Image:
    if not isinstance(value, dict):
        return Image(named_column(value, "pins.image"), ".")
    section = mapping(value, "pins.image", ("column", "folder", "encoding"))
    if not section:
        wrong("pins.image", value, "a column, or {column: …, folder: …}")
    column = named_column(section["column"], "pins.image.column") if "column" in section else None
    if "encoding" in section and (section["encoding"] != "base64" or column is None or "folder" in section):
        wrong("pins.image", value, "{column: …, encoding: base64} where the column holds pictures as text")
    return Image(column, text(section.get("folder", "."), "pins.image.folder"), "encoding" in section)


def _annotations(value: Any, base: Dialect) -> Annotations | Lookup:
    where = "pins.annotations"
    if isinstance(value, dict) and "table" in value:
        return _lookup(value, "annotations", base)
    if not isinstance(value, dict):
        value = {"column": value}
    section = mapping(value, where, ("column", "separator", "format"), required=("column",))
    names = section["column"] if isinstance(section["column"], list) else [section["column"]]
    separator = text(section["separator"], f"{where}.separator") if "separator" in section else None
    format = choice(section["format"], f"{where}.format", LIST_FORMATS) if "format" in section else None
    if separator and format:
        raise SpecError(f"{where} has a separator and a format; write one of them.")
    return Annotations(tuple(named_column(name, where) for name in names), separator, format)


def _lookup(value: Any, label: str, base: Dialect) -> Lookup:
    section = mapping(value, label, (*ROW_KEYS, "key", "value", "by"), required=("table", "key", "value"))
    by = named_column(section["by"], f"{label}.by") if "by" in section else None
    key, found = named_column(section["key"], f"{label}.key"), named_column(section["value"], f"{label}.value")
    return Lookup(_table(section, label, base), key, found, by)


def _boards(value: Any, label: str, base: Dialect) -> Rows:
    known = (*ROW_KEYS, "board_id", "prefix", "pin_id", "title", "saved_at", "user_id")
    section = mapping(value, label, known, required=("table", "board_id", "pin_id"))
    columns, formats = _columns(section, label, ("board_id", "pin_id", "title", "saved_at", "user_id"))
    return Rows(_table(section, label, base), columns, formats, _prefix(section, label))


def _users(value: Any, label: str, base: Dialect) -> Rows:
    """It cannot be `optional`: without the list everybody's consent is taken as given."""
    section = mapping(value, label, (*TABLE_KEYS, "user_id", "consent"), required=("table", "user_id"))
    return Rows(_table(section, label, base), _columns(section, label, ("user_id", "consent"))[0])


def _preferences(value: Any, label: str, base: Dialect) -> Rows:
    names = ("user_id", "pin_id", "kind", "weight", "time")
    section = mapping(value, label, (*ROW_KEYS, *names), required=("table", "user_id", "pin_id"))
    return Rows(_table(section, label, base), *_columns(section, label, names))


def _queries(value: Any, label: str, base: Dialect) -> Rows | BoardTitles:
    if isinstance(value, dict) and "from" in value:
        section = mapping(value, label, ("from", "where"))
        if section["from"] != "board_titles":
            wrong(f"{label}.from", section["from"], "board_titles; for queries of a table write `table:`")
        return BoardTitles(_where(section, label))
    section = mapping(value, label, (*ROW_KEYS, "query", "pin_id", "clicks"), required=("table", "query", "pin_id"))
    return Rows(_table(section, label, base), _columns(section, label, ("query", "pin_id", "clicks"))[0])


def _columns(section: Mapping[str, Any], label: str, names: Iterable[str]) -> tuple[dict[str, Column], dict[str, str]]:
    """The columns that the section names, and the formats of its times."""
    columns, formats = dict[str, Column](), dict[str, str]()
    for name in names:
        value, where = section.get(name), f"{label}.{name}"
        if name in TIMES and isinstance(value, dict):
            value = mapping(value, where, ("column", "format"), required=("column",))
            if "format" in value:
                formats[name] = check_time_format(value["format"], f"{where}.format")
            value = value["column"]
        if name in section:
            columns[name] = named_column(value, where)
    return columns, formats


def _prefix(section: Mapping[str, Any], label: str) -> str:
    return text(section["prefix"], f"{label}.prefix") if "prefix" in section else ""


def _table(section: Mapping[str, Any], label: str, base: Dialect) -> Table:
    globs = section["table"] if isinstance(section["table"], list) else [section["table"]]
    optional = section.get("optional", False)
    if not isinstance(optional, bool):
        wrong(f"{label}.optional", optional, "true or false")
    if not globs:
        wrong(f"{label}.table", globs, "a glob or a list of globs")
    named = tuple(text(glob, f"{label}.table") for glob in globs)
    return Table(label, named, _where(section, label), optional, read_dialect(section, label, base))


def _where(section: Mapping[str, Any], label: str) -> RowFilter | None:
    if "where" not in section:
        return None
    value = section["where"]
    try:
        if isinstance(value, dict) and value and all(isinstance(key, str) for key in value):
            return parse_mapping(value)
        return parse(text(value, f"{label}.where"))
    except SpecError as error:
        raise SpecError(f"{label}: {error}" if label not in str(error) else str(error)) from None


def _sections(top: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    """One mapping or a list of them, each with the name an error or the report calls it by."""
    value = top.get(key, [])
    if isinstance(value, list):
        return [(f"{key}[{number}]", section) for number, section in enumerate(value)]
    return [(key, value)]
