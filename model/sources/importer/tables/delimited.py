"""CSV, TSV and their kin, split by Python's csv module: cells stay text, a row of another width is refused.

DuckDB's reader is faster, but it stops at a file with both kinds of line ends, and it does not say on which line a kept
row stands, which the report names where the row is refused later.
"""

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from model.errors import SpecError
from model.sources.importer.spec.dialect import Dialect
from model.sources.importer.tables.chunks import Chunk, open_bytes, unreadable

DELIMITERS = (",", "\t", ";", "|", "\x01")
LONGEST = 64 * 2**20  # characters of a value; beyond it a quote was never closed
BLANK = " \r\n"
LINE_BREAK = re.compile(r"\r\n|\r|\n")
LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
SWALLOWED = "a quoted value runs over lines that look like rows; write quotes: none, or quotes: '\"' if it is right"


def csv_columns(file: Path, dialect: Dialect) -> list[str]:
    """The names in the header.

    Raises:
        SpecError: the file is empty, not UTF-8 or no CSV.
    """
    try:
        with _open(file) as lines:
            names = _header(_reader(lines, dialect)[0])
            "".join(names).encode("utf-8")
    except UnicodeEncodeError:
        raise SpecError(f"the first line of {file} is no UTF-8 text; save the file as UTF-8.") from None
    except (csv.Error, OSError, EOFError) as error:
        raise unreadable(file, error) from None
    if any("\0" in name for name in names):
        raise SpecError(f"the first line of {file} holds NUL characters, as UTF-16 has them; save the file as UTF-8.")
    if not names:
        raise SpecError(f"{file} is empty; its first line must name the columns.")
    return names


def csv_chunks(file: Path, columns: Sequence[str], rows: int, dialect: Dialect) -> Iterator[Chunk]:
    """Numbers are the lines on which rows start; blank lines are no rows."""
    size = max(1, file.stat().st_size)
    try:
        with _open(file) as lines:
            reader, delimiter = _reader(lines, dialect)
            header = _header(reader)
            at = [header.index(name) for name in columns]
            suspicious = _Suspicion(delimiter, len(header)) if dialect.quotes and not dialect.sure else None
            for chunk, kept in _records(file, reader, rows, len(header), suspicious):
                picked = {name: [row[index] for row in kept] for name, index in zip(columns, at, strict=True)}
                done = min(1.0, lines.buffer.tell() / size) if lines.buffer.seekable() else 0.0  # 0: compressed
                yield Chunk(chunk.numbers, picked, done, chunk.refused, chunk.extra_lines)
    except (OSError, EOFError) as error:
        raise unreadable(file, error) from None


class _Suspicion:
    """Whether the lines of a record look like rows: then a stray quote, not a writer, has joined them."""

    def __init__(self, delimiter: str, width: int) -> None:
        self.delimiter, self.width = delimiter, width

    def __call__(self, cells: list[str]) -> bool:
        if self.width == 1:
            return False
        lines = LINE_BREAK.split(self.delimiter.join(cells))  # quotes add no delimiters, so the lines are as written
        full = [line.count(self.delimiter) == self.width - 1 for line in lines]
        inner = full[1:-1]
        if not inner:
            return full[0] and full[-1]
        return 2 * sum(inner) >= len(inner) and (full[0] or full[-1])


def _records(
    file: Path, reader: Any, rows: int, width: int, suspicious: _Suspicion | None
) -> Iterator[tuple[Chunk, list[list[str]]]]:
    """At most `rows` rows of the header's width; others stand in the chunk's `refused`."""
    chunk, kept = Chunk([], {}), list[list[str]]()
    end = reader.line_num
    while True:
        line = end + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            _check_one_line(file, line, reader.line_num, error)
            cells = []
            chunk.refused.append((line, f"no readable CSV row ({error})"))
        if cells is None:
            break
        end = reader.line_num
        if not cells:
            continue  # a blank line
        if len(cells) != width:
            chunk.refused.append((line, "its number of values is not the header's"))
        elif end > line and suspicious and suspicious(cells):
            chunk.refused.append((line, SWALLOWED))
        else:
            chunk.numbers.append(line)
            kept.append(cells)
        chunk.extra_lines += end - line
        if len(kept) + len(chunk.refused) >= rows:
            yield chunk, kept
            chunk, kept = Chunk([], {}), []
    if kept or chunk.refused:
        yield chunk, kept


def _check_one_line(file: Path, line: int, end: int, error: csv.Error) -> None:
    """An error after the record's first line: what of the lines behind it are rows cannot be known."""
    if end > line or "unexpected end" in str(error):
        raise SpecError(
            f"{file}, line {line}: a quoted value does not end properly ({error}); "
            "correct the line, or write quotes: none if the file's quotes mean nothing."
        ) from None


def _open(file: Path) -> TextIO:
    # Bytes that are no UTF-8 come through as surrogates, so that only their rows are refused.
    return io.TextIOWrapper(open_bytes(file), encoding="utf-8-sig", errors="surrogateescape", newline="")


def _reader(lines: TextIO, dialect: Dialect) -> tuple[Any, str]:
    """A strict csv reader standing at the header, and its delimiter."""
    csv.field_size_limit(LONGEST)
    opening = list[str]()  # to the header; read again, so that lines are numbered from the file's first
    while line := lines.readline():
        opening.append(line)
        if line.strip(BLANK):
            break
    delimiter = dialect.delimiter or _delimiter(line, dialect.quotes)
    whole = itertools.chain(opening, lines)
    reader = csv.reader(
        _escaped(whole, delimiter, dialect) if dialect.escape else whole,
        delimiter=delimiter,
        strict=True,
        quotechar=dialect.quotes,
        quoting=csv.QUOTE_MINIMAL if dialect.quotes else csv.QUOTE_NONE,
        escapechar=dialect.escape if dialect.escape != dialect.quotes else None,
        doublequote=True,
    )
    return reader, delimiter


def _header(reader: Iterable[list[str]]) -> list[str]:
    """The first row that is not blank."""
    return next((row for row in reader if "".join(row).strip(BLANK)), [])


def _delimiter(header: str, quotes: str | None) -> str:
    """The sign that the header uses most outside quotes; a file of one column has none, then the first."""
    bare = re.sub(f"{re.escape(quotes)}[^{re.escape(quotes)}]*{re.escape(quotes)}", "", header) if quotes else header
    counts = Counter(bare)
    return max(DELIMITERS, key=counts.__getitem__)


def _escaped(lines: Iterable[str], delimiter: str, dialect: Dialect) -> Iterator[str]:
    r"""Lines in which the csv module reads every escape as its writer meant it.

    The escape before delimiter, quote, line break and itself stands for that character. Without quotes `\n`, `\t` … are
    the control characters of PostgreSQL's and MySQL's text format; with quotes the escape is kept before any other
    character, as Spark writes it. `\N`, the mark of a missing value, always stays.
    """
    sign = dialect.escape or ""
    special = {delimiter, sign, dialect.quotes, "\r", "\n"}

    def meant(match: re.Match[str]) -> str:
        letter = match[1]
        if letter in special:
            return match[0]
        if not dialect.quotes and letter in LETTERS:
            return sign + LETTERS[letter]
        return sign + sign + letter

    pattern = re.compile(re.escape(sign) + "(.)", re.DOTALL)
    for line in lines:
        yield pattern.sub(meant, line) if sign in line else line
