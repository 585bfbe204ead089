"""The files of a folder of images, found by a Pin's id."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from model.data.images.formats import ENDINGS
from model.sources.importer.values.cells import BadValue


class NamedFiles:
    """Image files named <pin_id>.jpg, .png … in the folder or below it; a file without an ending is not an image.

    An id may be a path (`shoes/17`). An id without a slash is searched in the folder first, then in its subfolders.
    If several files differ only in their ending, the first of ENDINGS is taken.
    """

    def __init__(self, folder: Path) -> None:
        # A temporary file of SQLite's own: a folder may hold more names than fit in memory.
        self._db = sqlite3.connect("")
        self._db.execute("CREATE TABLE files (path BLOB, rank INTEGER, file BLOB, name BLOB)")
        self._db.executemany("INSERT INTO files VALUES (?, ?, ?, ?)", _rows(folder))
        self._db.execute("CREATE INDEX by_path ON files (path, rank, file)")
        self._db.execute("CREATE INDEX by_name ON files (name, path)")

    def of(self, pin_id: str) -> str:
        """The file, relative to the folder.

        Raises:
            BadValue: there is none, or there are several.
        """
        name = _bytes(pin_id)
        file = self._at(name)
        if file is None:
            paths = self._db.execute("SELECT DISTINCT path FROM files WHERE name = ? LIMIT 2", (name,)).fetchall()
            if len(paths) > 1:
                raise BadValue("image files in several folders are named by this pin_id")
            file = self._at(paths[0][0]) if paths else None
        if file is None:
            raise BadValue("no image file is named by this pin_id")
        return file.decode("utf-8", "surrogateescape")

    def _at(self, path: bytes) -> bytes | None:
        first = "SELECT file FROM files WHERE path = ? ORDER BY rank, file LIMIT 1"
        found = self._db.execute(first, (path,)).fetchone()
        return found[0] if found else None


def _rows(folder: Path) -> Iterator[tuple[bytes, int, bytes, bytes | None]]:
    """(path with or without its ending, rank of the ending, file, name below the folder) of every image file."""
    for file in _files(folder):
        ending = _ending(file)
        if ending:
            for path in (file[: -len(ending)], file):
                name = _bytes(PurePosixPath(path).name) if "/" in path else None
                yield _bytes(path), ENDINGS.index(ending), _bytes(file), name


def _bytes(name: str) -> bytes:
    """The path as bytes, because a file name need not be UTF-8."""
    return name.encode("utf-8", "surrogateescape")


def _files(folder: Path) -> Iterator[str]:
    """Relative paths. Links to folders are followed, each folder once; hidden ones (.git, .dvc) are left out."""
    seen: set[tuple[int, int]] = set()
    waiting = [""]  # folders to look through, the next one last
    while waiting:
        below = waiting.pop()
        try:
            place, entries = (folder / below).stat(), os.scandir(folder / below)
        except OSError:  # may not be read
            continue
        folders = []
        with entries:
            if (place.st_dev, place.st_ino) in seen:
                continue
            seen.add((place.st_dev, place.st_ino))
            for entry in entries:
                path = f"{below}{entry.name}"
                if not _is_folder(entry):
                    yield path
                elif not entry.name.startswith("."):
                    folders.append(f"{path}/")
        waiting += sorted(folders, reverse=True)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _ending(file: str) -> str:
    """The ending in lower case; "" if it is not that of an image, as in `v1.2`."""
    ending = PurePosixPath(file).suffix.lower()
    return ending if ending in ENDINGS else ""
