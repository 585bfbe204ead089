"""How rows, entries, passages and pictures of Pins are found in one file, and erased from it.

    look(file, pins)          how much of the file is theirs
    look(file, pins, True)    the same, and the file is written anew beside its place without it, then renamed

parquet.py     rows                              documents.py   entries of JSON and JSON lines
pages.py       articles of HTML, lines of text   neighbours.py  a graph's folder, whose tables name Pins by row number
tags.py        words of tagged pictures

The kind of a file is read from its first bytes: outputs of steps have names without an ending. What is no text, no
Parquet and no gzip is only searched: SQLite, Arrow, faiss and NumPy have places of their own that know them
(online.py, indexes.py). A file that is damaged counts as one of theirs, and stays: nobody can tell.
"""

import gzip
import mmap
import re
import zlib
from pathlib import Path

import pyarrow as pa

from components.forgetting.formats import documents, pages, parquet
from components.forgetting.pins import Pins
from model.files import replaced

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"
HEAD = 8192  # bytes by which a file is told to be no text


def look(file: Path, pins: Pins, erase: bool = False) -> int:
    """Rows, entries and passages of the Pins that were found; in a file of an unknown kind the ids alone, and they
    stay."""
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    try:
        if head.startswith(PARQUET):
            return parquet.look(file, pins, erase)
        zipped = head.startswith(GZIP)
        if b"\0" in head and not zipped:
            return _in_binary(file, pins)
        data = file.read_bytes()
        text = _text(gzip.decompress(data) if zipped else data)
    except (pa.ArrowException, OSError, EOFError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk; what is no gzip or Parquet has none
            raise
        return 1
    if text is None:
        return sum(data.count(pin_id) for pin_id in pins.as_bytes)
    if not pins.may_be_in(text):
        return 0
    cleaned, found = documents.cleaned(text, pins) or pages.cleaned(text, pins)
    if found and erase:
        with replaced(file) as scratch:
            written = cleaned.encode()
            scratch.write_bytes(gzip.compress(written, mtime=0) if zipped else written)
    return found


def _in_binary(file: Path, pins: Pins) -> int:
    """How often it holds an id of a Pin. It may be larger than memory: decoded pixels, vectors."""
    if not pins.ids:
        return 0
    marks = re.compile(b"|".join(map(re.escape, sorted(pins.as_bytes, key=len, reverse=True))))
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return sum(1 for _ in marks.finditer(data))


def _text(data: bytes) -> str | None:
    if b"\0" in data[:HEAD]:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
