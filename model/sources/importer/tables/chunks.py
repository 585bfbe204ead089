"""The result of every reader: some rows of one file as plain Python cells, and the rows that could not be read."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from model.errors import SpecError


@dataclass
class Chunk:
    """`numbers` and `refused` count rows from 1, or lines of a text file with its header as line 1."""

    numbers: list[int]
    columns: dict[str, list[Any]]
    done: float = 1.0  # share of the file read so far, 0 to 1
    refused: list[tuple[int, str]] = field(default_factory=list)
    extra_lines: int = 0  # lines beyond one a row: line breaks within quotes


def open_bytes(file: Path) -> IO[bytes]:
    """The file's bytes, unpacked where its name ends in .gz, .bz2, .zst or .lz4; a cut one raises OSError."""
    if file.suffix.lower() in (".gz", ".bz2", ".zst", ".lz4"):
        return io.BufferedReader(cast(io.RawIOBase, pa.input_stream(str(file), compression="detect")), 1 << 18)
    return file.open("rb")


def unreadable(file: Path, error: Exception) -> SpecError:
    reason = " ".join(str(error).split())
    return SpecError(f"{file} cannot be read ({reason}); check the file or export it again.")
