"""JSON lines: one object a line. Read by Python's json, for numbers stay exact and a broken line costs one row.

DuckDB's read_ndjson with ignore_errors turns a broken line into a row of nulls; pyarrow.json stops at it and turns
texts that look like times into times.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from model.errors import SpecError
from model.sources.importer.tables.chunks import Chunk, open_bytes, unreadable

PEEK = 1000  # lines in which all keys are expected


class _Twice(ValueError):
    pass


def json_columns(file: Path, wanted: Sequence[str]) -> list[str]:
    """The keys of the first lines, and of all lines where a wanted one is not among those.

    Raises:
        SpecError: no objects, or one array over the whole file.
    """
    names: dict[str, None] = {}
    for number, line in enumerate(_lines(file), 1):
        found = _object(line)
        if isinstance(found, dict):
            names |= dict.fromkeys(found)
        elif number == 1 and line.lstrip()[:1] == b"[":
            raise SpecError(f"{file} is one JSON array; write one object a line, e.g. with `jq -c '.[]'`.")
        if number >= PEEK and set(wanted) <= set(names):
            break
    if not names:
        raise SpecError(f"{file} holds no JSON objects; write one object a line.")
    return list(names)


def json_chunks(file: Path, columns: Sequence[str], rows: int) -> Iterator[Chunk]:
    """Numbers are lines; blank lines are no rows."""
    size = max(1, file.stat().st_size)
    numbered = ((number, line) for number, line in enumerate(_lines(file), 1) if line.strip())
    read = 0
    while some := list(islice(numbered, rows)):
        read += sum(len(line) for _, line in some)
        chunk = Chunk([], {name: [] for name in columns}, min(1.0, read / size))
        for number, line in some:
            found = _object(line)
            if not isinstance(found, dict):
                chunk.refused.append((number, found))
                continue
            chunk.numbers.append(number)
            for name in columns:
                chunk.columns[name].append(found.get(name))
        yield chunk


def _lines(file: Path) -> Iterator[bytes]:
    try:
        with open_bytes(file) as lines:
            yield from lines
    except OSError as error:
        raise unreadable(file, error) from None


def _object(line: bytes) -> dict[str, Any] | str:
    """The line's object, or why there is none."""
    try:
        text = line.decode("utf-8-sig", "surrogateescape")  # the row is refused where the cell is read
        found = json.loads(text, object_pairs_hook=_once)
    except _Twice as twice:
        return str(twice)
    except (ValueError, RecursionError):
        return "the line is no JSON"
    return found if isinstance(found, dict) else "the line is no JSON object"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice("the JSON object names a key twice")
    return found
