"""Finds a Pin's image bytes: in a cell, in a file that the cell names, or in a file named after the Pin.

Nothing is decoded here; bytes are only read up to a limit and recognised by their first bytes.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from stat import S_ISREG
from typing import Any

from model.data.images.base64_images import decoded, looks_like_base64
from model.data.images.formats import FORMATS, format_of, missing_reader
from model.sources.importer.image_folder import NamedFiles
from model.sources.importer.values.cells import BadValue, text


@dataclass(frozen=True)
class ImageFinder:
    """Reads images of at most `limit` bytes from one folder.

    A path in a table may not leave the folder by `..` or as an absolute path. A symbolic link in the folder may point
    anywhere: DVC and Hugging Face keep the files of a data set in a cache elsewhere.

    Every method raises BadValue with the reason a row is refused.
    """

    folder: Path
    limit: int
    is_base64: bool = False  # cells hold the bytes as text

    def of_cell(self, cell: Any) -> bytes:
        """The cell's bytes, the file it names, or either in a {bytes, path} struct (Hugging Face's layout)."""
        if isinstance(cell, dict):
            cell = cell.get("bytes") or cell.get("path")
        if self.is_base64:
            return self._checked(self._decoded(cell))
        if isinstance(cell, bytes | str) and looks_like_base64(cell):
            raise BadValue("the image looks like base64; write {column: image, encoding: base64}")
        if isinstance(cell, bytes):
            return self._checked(cell)
        name = text(cell)
        if name is None:
            raise BadValue("no image")
        if "://" in name:
            raise BadValue("the image is a web address, not a file")
        return self._read(self._named(name))

    def _decoded(self, cell: Any) -> bytes:
        written = text(cell)
        if written is None:
            raise BadValue("no image")
        if len(written) > 2 * self.limit + 1000:
            raise BadValue(f"the image is larger than {self.limit:,} bytes")
        try:
            return decoded(written)
        except ValueError:
            raise BadValue("the image is no base64") from None

    def of_pin(self, pin_id: str) -> bytes:
        """The file <pin_id>.jpg, .png, … here or in a folder below; endings in either case."""
        return self._read(self.folder / self._files.of(pin_id))

    @cached_property
    def _files(self) -> NamedFiles:
        return NamedFiles(self.folder)

    def _named(self, name: str) -> Path:
        """The file of that name, as written or with backslashes read as slashes."""
        for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
            path = self._inside(spelling)
            if _is_file(path):
                return path
        raise BadValue("no such image file" + (" (its path has backslashes)" if "\\" in name else ""))

    def _inside(self, name: str) -> Path:
        """The path within the folder, checked as text: symbolic links are not resolved."""
        base = self.folder.absolute()
        path = Path(os.path.normpath(base / name))
        if not any(path.is_relative_to(os.path.normpath(root)) for root in (base, base.resolve())):
            raise BadValue("the image path leaves its folder")
        return path

    def _read(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                data = file.read(self.limit + 1)
        except OSError:
            raise BadValue("the image file cannot be read") from None
        return self._checked(data)

    def _checked(self, data: bytes) -> bytes:
        if len(data) > self.limit:
            raise BadValue(f"the image is larger than {self.limit:,} bytes")
        if not data:
            raise BadValue("the image is empty")
        name = format_of(data)
        if name is None:
            known = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
            raise BadValue(f"unknown image format: no {known}")
        if install := missing_reader(name):
            raise BadValue(f"no reader for {name}: {install}")
        return data


def _is_file(path: Path) -> bool:
    try:
        return S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:
        raise BadValue("the image file cannot be read") from None
    except (OSError, ValueError):  # a loop of links, a name that no file system has
        raise BadValue("the image path is no valid path") from None
