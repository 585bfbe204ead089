"""Watches the tombstones (model/data/forgotten.py): what must be forgotten leaves a running service, and no push brings
it back."""

from pathlib import Path

from model.data.forgotten import Forgotten


class Tombstones:
    def __init__(self, file: Path) -> None:
        self.file, self.now = file, Forgotten()
        self._read: tuple[int, int] | None = None  # time and size of the file when it was read

    def moved(self) -> bool:
        """Whether there are others than at the last call, which `now` then holds. One look at the file's times.

        Raises:
            StoreError: the file is damaged.
        """
        try:
            found = self.file.stat()
        except FileNotFoundError:
            return False
        if (found.st_mtime_ns, found.st_size) == self._read:
            return False
        self.now, self._read = Forgotten.read(self.file), (found.st_mtime_ns, found.st_size)
        return True
