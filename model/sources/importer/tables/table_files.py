"""The files of a table: globs, folders of parts as Spark writes them, and columns that only a folder's name holds."""

import glob
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from model.errors import SpecError

# Exports are numbered behind their ending (.tsv000, .tsv001) and compressed behind that (.csv.gz).
ENDING = re.compile(
    r"\.(?P<kind>parquet|pq|csv|tsv|txt|jsonl|ndjson|json|feather|arrow|ipc)\d*(\.(gz|bz2|zst|lz4))?$", re.IGNORECASE
)
KINDS = {
    "pq": "parquet",
    "tsv": "csv",
    "txt": "csv",
    "jsonl": "json",
    "ndjson": "json",
    "feather": "arrow",
    "ipc": "arrow",
}
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


def find_files(globs: Iterable[str], root: Path, label: str) -> tuple[Path, ...]:
    """Every file that a glob matches or that lies in a folder it matches, sorted by path.

    Raises:
        SpecError: a file is of no known kind.
    """
    found: set[Path] = set()
    for pattern in globs:
        for name in glob.glob(pattern, root_dir=root, recursive=True):  # noqa: PTH207 (Path.glob refuses absolute ones)
            path = root / name
            found |= set(_parts(path)) if path.is_dir() and _is_table(path, pattern) else {path}
    files = tuple(sorted(path for path in found if path.is_file()))
    for file in files:
        kind(file, label)
        check_name(file)
    return files


def check_name(path: Path) -> None:
    """Raises SpecError where the path is not UTF-8 in this terminal's locale: pyarrow could not open it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise SpecError(f"the path {str(path)!a} is no UTF-8 in this locale; set LC_ALL=C.UTF-8.") from None


def kind(file: Path, label: str = "") -> str:
    """parquet, csv, json or arrow; a part without an ending has that of its folder, `pins.parquet/000000_0`.

    Raises:
        SpecError: none of these.
    """
    for part in (file, *file.parents):
        match = ENDING.search(part.name)
        if match:
            return KINDS.get(match["kind"].lower(), match["kind"].lower())
        if part.suffix and not part.suffix[1:].isdigit() and "=" not in part.name:
            break
    where = f" ({label})" if label else ""
    raise SpecError(f"{file} is no table{where}; tables end in .parquet, .csv, .tsv, .jsonl or .feather (or .csv.gz).")


def folder_columns(file: Path, root: Path) -> dict[str, str | None]:
    """{column: value} of folders named column=value between the root and the file."""
    folders = file.relative_to(root).parts[:-1] if file.is_relative_to(root) else file.parts[:-1]
    pairs = [folder.split("=", 1) for folder in folders if re.match(r"\w+=", folder)]
    return {name: None if value == HIVE_NULL else unquote(value) for name, value in pairs}


def _is_table(folder: Path, pattern: str) -> bool:
    """A folder is a table where the glob names it outright or its own name ends like a table's."""
    return not glob.has_magic(pattern) or ENDING.search(folder.name) is not None


def _parts(folder: Path) -> list[Path]:
    """Its files at any depth, without _SUCCESS, _metadata and .crc, and without the empty files of empty parts."""
    return [
        file
        for file in folder.rglob("*")
        if file.is_file()
        and file.stat().st_size
        and not any(part.startswith(("_", ".")) for part in file.relative_to(folder).parts)
    ]
