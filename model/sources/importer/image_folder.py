"""The files of a folder of images, found by a Pin's id."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from model.data.images.formats import ENDINGS
from model.sources.importer.values.cells import BadValue


class NamedFiles:
    """Files named <pin_id> with an ending of images, in the folder or below it; a name alone is no picture's.

    An id may be a path (`shoes/17`). An id that is a name alone is looked for in the folder first, then in all below.
    Of files that differ in their ending the first of ENDINGS counts.
    """

    def __init__(self, folder: Path) -> None:
        self._by_path: dict[str, str] = {}  # path without its ending -> file
        self._below: dict[str, str | None] = {}  # name -> path without its ending; None: in several folders
        for file in sorted(filter(_ending, _files(folder)), key=lambda file: (ENDINGS.index(_ending(file)), file)):
            for path in (file[: -len(_ending(file))], file):
                self._by_path.setdefault(path, file)
                if "/" in path and self._below.setdefault(PurePosixPath(path).name, path) != path:
                    self._below[PurePosixPath(path).name] = None

    def of(self, pin_id: str) -> str:
        """The file, relative to the folder.

        Raises:
            BadValue: there is none, or there are several.
        """
        path = pin_id if pin_id in self._by_path else self._below.get(pin_id, "")
        if path is None:
            raise BadValue("image files in several folders are named by this pin_id")
        if not path:
            raise BadValue("no image file is named by this pin_id")
        return self._by_path[path]


def _files(folder: Path) -> Iterator[str]:
    """Relative paths. Links to folders are followed, each folder once; hidden ones (.git, .dvc) are left out."""
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        place = Path(root).stat()
        if (place.st_dev, place.st_ino) in seen:
            folders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = PurePosixPath(Path(root).relative_to(folder))
        yield from (str(below / file) for file in files)


def _ending(file: str) -> str:
    """In lower case; "" for one that no image has: `v1.2` is a whole name."""
    ending = PurePosixPath(file).suffix.lower()
    return ending if ending in ENDINGS else ""
