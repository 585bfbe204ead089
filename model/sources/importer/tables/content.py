"""Checks by the first bytes that a file has the format that its name says."""

from pathlib import Path

import pyarrow as pa

from model.errors import SpecError
from model.sources.importer.tables.chunks import open_bytes

PACKED = {
    b"\x1f\x8b": "gz",
    **{b"BZh%d1AY" % size: "bz2" for size in range(1, 10)},
    b"\x28\xb5\x2f\xfd": "zst",
    b"\x04\x22\x4d\x18": "lz4",
}
# With the byte behind the mark: a column of a CSV file may be called PAR1.
TABLES = {b"PAR1\x15": "parquet", b"ARROW1\0": "arrow", b"FEA1\0": "arrow"}
OTHERS = {
    b"PK\x03\x04": "a ZIP archive, as spreadsheets (.xlsx) are",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet (.xls)",
    b"Obj\x01": "Avro",
    b"SQLite format 3\0": "an SQLite database",
    b"%PDF": "PDF",
    b"\xfd7zXZ": "packed by xz",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
HEAD = 16  # bytes


def check_content(file: Path, kind: str) -> None:
    """
    Raises:
        SpecError: a file that is called CSV, JSON lines, Parquet or Arrow begins as one of another format.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(HEAD)
    except OSError:  # the reader of the file reports the error
        return
    packing, ending = _first(PACKED, raw), file.suffix.lower()[1:]
    if packing and kind in ("parquet", "arrow"):
        raise SpecError(f"{file} is compressed ({packing}); unpack it, for {kind.capitalize()} compresses within.")
    if ending in PACKED.values():
        if packing != ending:
            fix = f"it is {packing}; let it end in .{packing}" if packing else f"it is not; take .{ending} away"
            raise SpecError(f"{file} is called compressed by the end of its name, .{ending}, but {fix}.")
        raw = _unpacked(file)
    elif packing:
        raise SpecError(f"{file} is compressed ({packing}); add .{packing} to its name, or unpack it.")
    found = _first(TABLES, raw)
    if found and found != kind:
        raise SpecError(f"{file} holds {found.capitalize()} by its first bytes; let its name end in .{found}.")
    other = _first(OTHERS, raw)
    if other:
        raise SpecError(f"{file} is {other}, by its first bytes; export the table as CSV or Parquet.")


def _first(signatures: dict[bytes, str], raw: bytes) -> str | None:
    return next((name for start, name in signatures.items() if raw.startswith(start)), None)


def _unpacked(file: Path) -> bytes:
    try:
        with open_bytes(file) as opened:
            return opened.read(HEAD)
    except (OSError, EOFError, pa.ArrowException):
        return b""
