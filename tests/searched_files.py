"""Every file of a folder that holds one of some marks: as bytes, in Parquet, gzip, archives, SQLite and in base64."""

import base64
import gzip
import re
import sqlite3
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
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


def _values(rows: pa.Table) -> Iterator[bytes]:
    """Each text and each binary value, apart from its neighbours."""
    for column in rows.columns:
        if pa.types.is_list(column.type):
            column = pc.list_flatten(column)
        if any(is_one(column.type) for is_one in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)):
            yield b"\0".join(value for value in column.cast(pa.large_binary()).to_pylist() if value)


def _contents(file: Path) -> Iterator[bytes]:
    data = file.read_bytes()
    yield data
    if data.startswith(b"PAR1"):
        yield from _values(pq.read_table(file))
    elif data.startswith(b"ARROW1"):
        with pa.ipc.open_file(file) as opened:
            yield from _values(opened.read_all())
    elif data.startswith(b"\x1f\x8b"):
        yield gzip.decompress(data)
    elif data.startswith(b"PK"):
        with zipfile.ZipFile(file) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif data.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            yield "\n".join(connection.iterdump()).encode(errors="replace")
