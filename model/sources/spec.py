"""An import spec: a YAML file that says which tables hold Pins, boards and queries, and what their columns mean.

    pins:
      table: items.parquet              # a glob or a list of globs: .parquet, .csv, .tsv (also .tsv000, .tsv001, …)
      where: licence != "unknown"       # optional, see model/sources/where.py
      pin_id: id
      image: image                      # a column of bytes or of file paths
                                        #   {column: file, folder: images}   paths relative to a folder
                                        #   {folder: images}                 files named <pin_id>.jpg, .png, …
                                        #   {column: image, encoding: base64}  bytes as text, also data:image/…
      title: title                      # likewise description, caption, group_id, created_at, consent
      annotations: tags                 # a list column, or text; [tags, labels] joins columns
                                        #   {column: tags, separator: ","}   text cut into a list
                                        #   {table: keywords.csv, key: id, value: keyword, by: confidence}
      slices: {vendor: vendor}          # for the fairness report: a column, or a {table: …} as above: its first value
    boards:                             # one mapping, or a list of them
      {table: boards.csv, board_id: board, pin_id: item, title: name, saved_at: time}
    queries:                            # likewise; from: board_titles asks every board's title
      {table: clicks.csv, query: keyword, pin_id: item, clicks: clicks}

A column written `name?` may be absent. `optional: true` lets a whole table be absent or give nothing.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from model.catalogue import SLICE_PREFIX
from model.errors import SpecError
from model.sources.where import Where, parse, parse_mapping

PIN_COLUMNS = ("title", "description", "caption", "group_id", "created_at", "consent")
TABLE_KEYS = ("table", "where", "optional")


@dataclass(frozen=True)
class Column:
    name: str
    optional: bool = False


@dataclass(frozen=True)
class Table:
    label: str  # where it stands in the spec: "pins", "boards[1]", "annotations"
    globs: tuple[str, ...]
    where: Where | None
    optional: bool


@dataclass(frozen=True)
class Lookup:
    """Values of another table, found by pin_id; the largest `by` first."""

    table: Table
    key: Column
    value: Column
    by: Column | None

    def columns(self) -> list[Column]:
        return [column for column in (self.key, self.value, self.by) if column]


@dataclass(frozen=True)
class Image:
    column: Column | None  # None: files named by pin_id
    folder: str  # relative to the root
    is_base64: bool = False  # the column holds the bytes as text


@dataclass(frozen=True)
class Annotations:
    columns: tuple[Column, ...]
    separator: str | None


@dataclass(frozen=True)
class Pins:
    table: Table
    pin_id: Column
    image: Image
    columns: Mapping[str, Column | Lookup]  # catalogue column -> where from; slices as slice_<name>
    annotations: Annotations | Lookup | None


@dataclass(frozen=True)
class Rows:
    """Boards, or queries of a table: catalogue column -> the table's column."""

    table: Table
    columns: Mapping[str, Column]


@dataclass(frozen=True)
class BoardTitles:
    """Every board's title is a query for the Pins on it, where the board's row passes the filter."""

    where: Where | None


@dataclass(frozen=True)
class Spec:
    path: Path
    root: Path
    pins: Pins
    boards: tuple[Rows, ...]
    queries: tuple[Rows | BoardTitles, ...]


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
        return _spec(_read_yaml(path), path, root)
    except SpecError as error:
        raise SpecError(f"{path}: {error}") from None


def hint(name: str, known: Iterable[str], called: str = "known keys") -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)
    return (f"did you mean {near[0]!r}? " if near else "") + f"{called}: {', '.join(known)}."


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"the spec cannot be read ({error.strerror}); give the path of a YAML file.") from None
    except UnicodeDecodeError:
        raise SpecError("the spec is not UTF-8 text; save it as UTF-8.") from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "unreadable"
        raise SpecError(f"the spec is no YAML{where} ({problem}); put texts with : # ? [ or {{ in quotes.") from None


def _spec(tree: Any, path: Path, root: Path) -> Spec:
    top = _mapping(tree, "the spec", ("pins", "boards", "queries"), required=("pins",))
    boards = tuple(
        _rows(section, label, {"board_id": True, "pin_id": True, "title": False, "saved_at": False})
        for label, section in _sections(top, "boards")
    )
    queries = tuple(_queries(section, label) for label, section in _sections(top, "queries"))
    from_titles = sum(isinstance(source, BoardTitles) for source in queries)
    if from_titles > 1:
        raise SpecError("queries: `from: board_titles` stands there twice; join the filters with `or`.")
    if from_titles and not any("title" in board.columns for board in boards):
        raise SpecError("queries from board_titles need boards with a title; add `title:` to boards.")
    return Spec(path, root, _pins(top["pins"]), boards, queries)


def _pins(value: Any) -> Pins:
    known = ("table", "where", "pin_id", "image", *PIN_COLUMNS, "annotations", "slices")
    section = _mapping(value, "pins", known, required=("table", "pin_id", "image"))
    columns: dict[str, Column | Lookup] = {
        name: _column(section[name], f"pins.{name}") for name in PIN_COLUMNS if name in section
    }
    slices = section.get("slices", {})
    for name, source in _mapping(slices, "pins.slices", slices).items():
        if not re.fullmatch(r"\w+", name):
            raise SpecError(f"pins.slices: {name!r} is no slice name; use letters, digits and _.")
        where = f"slices.{name}"
        columns[SLICE_PREFIX + name] = _lookup(source, where) if isinstance(source, dict) else _column(source, where)
    return Pins(
        _table(section, "pins"),
        _column(section["pin_id"], "pins.pin_id"),
        _image(section["image"]),
        columns,
        _annotations(section["annotations"]) if "annotations" in section else None,
    )


def _image(value: Any) -> Image:
    if not isinstance(value, dict):
        return Image(_column(value, "pins.image"), ".")
    section = _mapping(value, "pins.image", ("column", "folder", "encoding"))
    if not section:
        _wrong("pins.image", value, "a column, or {column: …, folder: …}")
    column = _column(section["column"], "pins.image.column") if "column" in section else None
    if "encoding" in section and (section["encoding"] != "base64" or column is None or "folder" in section):
        _wrong("pins.image", value, "{column: …, encoding: base64} where the column holds pictures as text")
    return Image(column, _text(section.get("folder", "."), "pins.image.folder"), "encoding" in section)


def _annotations(value: Any) -> Annotations | Lookup:
    where = "pins.annotations"
    if isinstance(value, dict) and "table" in value:
        return _lookup(value, "annotations")
    if not isinstance(value, dict):
        value = {"column": value}
    section = _mapping(value, where, ("column", "separator"), required=("column",))
    names = section["column"] if isinstance(section["column"], list) else [section["column"]]
    separator = _text(section["separator"], f"{where}.separator") if "separator" in section else None
    return Annotations(tuple(_column(name, where) for name in names), separator)


def _lookup(value: Any, label: str) -> Lookup:
    section = _mapping(value, label, (*TABLE_KEYS, "key", "value", "by"), required=("table", "key", "value"))
    by = _column(section["by"], f"{label}.by") if "by" in section else None
    key, found = _column(section["key"], f"{label}.key"), _column(section["value"], f"{label}.value")
    return Lookup(_table(section, label), key, found, by)


def _queries(value: Any, label: str) -> Rows | BoardTitles:
    if isinstance(value, dict) and "from" in value:
        section = _mapping(value, label, ("from", "where"))
        if section["from"] != "board_titles":
            _wrong(f"{label}.from", section["from"], "board_titles; for queries of a table write `table:`")
        return BoardTitles(_where(section, label))
    return _rows(value, label, {"query": True, "pin_id": True, "clicks": False})


def _rows(value: Any, label: str, columns: Mapping[str, bool]) -> Rows:
    """`columns`: catalogue column -> required."""
    required = [name for name, needed in columns.items() if needed]
    section = _mapping(value, label, (*TABLE_KEYS, *columns), required=("table", *required))
    named = {name: _column(section[name], f"{label}.{name}") for name in columns if name in section}
    return Rows(_table(section, label), named)


def _table(section: Mapping[str, Any], label: str) -> Table:
    globs = section["table"] if isinstance(section["table"], list) else [section["table"]]
    optional = section.get("optional", False)
    if not isinstance(optional, bool):
        _wrong(f"{label}.optional", optional, "true or false")
    if not globs:
        _wrong(f"{label}.table", globs, "a glob or a list of globs")
    named = tuple(_text(glob, f"{label}.table") for glob in globs)
    return Table(label, named, _where(section, label), optional)


def _where(section: Mapping[str, Any], label: str) -> Where | None:
    if "where" not in section:
        return None
    value = section["where"]
    try:
        if isinstance(value, dict) and value and all(isinstance(key, str) for key in value):
            return parse_mapping(value)
        return parse(_text(value, f"{label}.where"))
    except SpecError as error:
        raise SpecError(f"{label}: {error}" if label not in str(error) else str(error)) from None


def _sections(top: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    """One mapping or a list of them, each with the name an error or the report calls it by."""
    value = top.get(key, [])
    if isinstance(value, list):
        return [(f"{key}[{number}]", section) for number, section in enumerate(value)]
    return [(key, value)]


def _mapping(value: Any, where: str, known: Iterable[str], required: Iterable[str] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        _wrong(where, value, "keys and values, e.g. `table: items.parquet`")
    for key in value:
        if key not in known:
            raise SpecError(f"{where} has no key {key!r}; {hint(str(key), known)}")
    for key in required:
        if key not in value:
            raise SpecError(f"{where} needs the key {key!r}; add it.")
    return value


def _column(value: Any, where: str) -> Column:
    name = _text(value, where)
    return Column(name.removesuffix("?"), name.endswith("?"))


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        _wrong(where, value, "a text (a name that looks like a number, yes or no goes in quotes)")
    return value


def _wrong(where: str, value: Any, takes: str) -> NoReturn:
    raise SpecError(f"{where} is {value!r}; it takes {takes}.")
