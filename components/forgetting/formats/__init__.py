"""How rows, entries, passages and pictures of Pins are found in one file, and erased from it.

    look(file, pins)          how much of the file is theirs
    look(file, pins, True)    the same, and the file is written anew beside its place without it, then renamed

parquet.py     rows                              documents.py   entries of JSON and JSON lines
pages.py       articles of HTML, lines of text   neighbours.py  a graph's folder, whose tables name Pins by row number

The kind of a file is read from its first bytes: outputs of steps have names without an ending. What is no text, no
Parquet and no gzip is only searched: SQLite, Arrow, faiss and NumPy have places of their own that know them
(online.py, indexes.py).
"""

import gzip
from pathlib import Path

from components.forgetting.formats import documents, pages, parquet
from components.forgetting.pins import Pins
from model.files import replaced

GZIP, PARQUET = b"\x1f\x8b", b"PAR1"


def look(file: Path, pins: Pins, erase: bool = False) -> int:
    """Rows, entries and passages of the Pins that were found; in a file of an unknown kind the ids alone, and they
    stay."""
    with file.open("rb") as opened:
        head = opened.read(4)
    if head == PARQUET:
        return parquet.look(file, pins, erase)
    data = file.read_bytes()
    zipped = head.startswith(GZIP)
    text = _text(gzip.decompress(data) if zipped else data)
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


def _text(data: bytes) -> str | None:
    if b"\0" in data[:8192]:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
