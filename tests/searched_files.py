"""Every file of a folder that holds one of some marks: as bytes, in Parquet, gzip, archives, SQLite and in base64."""

import base64
import gzip
import re
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq


def holding(root: Path, words: Sequence[str], contents: Sequence[bytes], without: Sequence[str] = ()) -> list[str]:
    """Paths below `root`, but for the folders `without`.

    words: found whole, so that p1 is not found in p10; contents: images, thumbnails, any part of a file.
    """
    whole = [re.compile(rb"(?<![\w-])" + re.escape(word.encode()) + rb"(?![\w-])") for word in words]
    # Where base64 begins decides how bytes look in it: without its first and last characters a third of them fits.
    parts = [*contents, *(base64.b64encode(one[shift:])[4:-4] for one in contents for shift in range(3))]
    found = []
    for file in sorted(root.rglob("*")):
        place = file.relative_to(root)
        if file.is_symlink() or not file.is_file() or any(place.is_relative_to(one) for one in without):
            continue
        if any(any(word.search(data) for word in whole) or any(p in data for p in parts) for data in _contents(file)):
            found.append(str(place))
    return found


def _contents(file: Path) -> Iterator[bytes]:
    data = file.read_bytes()
    yield data
    if data.startswith(b"PAR1"):
        for column in pq.read_table(file).columns:
            yield b"\0".join(bytes(buffer) for chunk in column.chunks for buffer in chunk.buffers() if buffer)
    elif data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    elif data.startswith(b"PK"):
        with zipfile.ZipFile(file) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif data.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            yield "\n".join(connection.iterdump()).encode(errors="replace")
