"""Where a Pin's image bytes are: in a cell, in a file the cell names, or in a file named by the Pin.

Nothing is decoded here; bytes are only read up to a limit and recognised by their first bytes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.sources.values import BadValue, text

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")


@dataclass(frozen=True)
class ImageFinder:
    """Reads images of at most `limit` bytes, and no file outside `folder` whatever a table says.

    Every method raises BadValue with the reason a row is refused.
    """

    folder: Path
    limit: int

    def of_cell(self, cell: Any) -> bytes:
        """The cell's bytes, the file it names, or either in a {bytes, path} struct (Hugging Face's layout)."""
        if isinstance(cell, dict):
            cell = cell.get("bytes") or cell.get("path")
        if isinstance(cell, bytes):
            return self._checked(cell)
        name = text(cell)
        if name is None:
            raise BadValue("no image")
        if "://" in name:
            raise BadValue("the image is a web address, not a file")
        return self._read(name)

    def of_pin(self, pin_id: str) -> bytes:
        """The file <pin_id>.jpg, .png, … in the folder; suffixes in either case."""
        for suffix in (*SUFFIXES, *map(str.upper, SUFFIXES)):
            if self._inside(pin_id + suffix).is_file():
                return self._read(pin_id + suffix)
        raise BadValue("no image file is named by this pin_id")

    def _read(self, name: str) -> bytes:
        path = self._inside(name)
        try:
            if not path.is_file():
                raise BadValue("no such image file")
            with path.open("rb") as file:
                data = file.read(self.limit + 1)
        except OSError:
            raise BadValue("the image file cannot be read") from None
        return self._checked(data)

    def _inside(self, name: str) -> Path:
        """The path with links followed: a table must not lead the import to other files of this machine."""
        try:
            base = self.folder.resolve()
            path = (base / name).resolve()
            path.is_file()  # a name too long for the file system shows here
        except (OSError, ValueError, RuntimeError):  # RuntimeError: a loop of links
            raise BadValue("the image path is no valid path") from None
        if not path.is_relative_to(base):
            raise BadValue("the image path leaves its folder")
        return path

    def _checked(self, data: bytes) -> bytes:
        if len(data) > self.limit:
            raise BadValue(f"the image is larger than {self.limit:,} bytes")
        if not data:
            raise BadValue("the image is empty")
        if not is_image(data):
            raise BadValue("unknown image format: no JPEG, PNG, WebP, GIF or BMP")
        return data


def is_image(data: bytes) -> bool:
    """By the signature of the five formats; whether they decode is for the prepare step to see."""
    is_webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return is_webp or data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM"))
