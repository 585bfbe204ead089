"""Checks that this process can write to a folder. Every step checks first, before minutes of imports and work.

python -m components.writable_folders /data/home /data/catalogues     # makes the folders; the Job data-folders calls it
"""

import errno
import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from model.errors import ConfigError

NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


def check_writable(folder: Path) -> None:
    """Writes a file without a name into the folder; where that is still to be made, into the one that it will lie in.

    Raises:
        ConfigError: this user may not write, or the volume is full or read-only; trying again does not help.
    """
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"0")
    except OSError as error:
        raise ConfigError(_sentence(place, error)) from None


def make_folders(folders: Iterable[Path]) -> None:
    """
    Raises:
        ConfigError: one cannot be made or written.
    """
    for folder in folders:
        check_writable(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(_sentence(folder, error)) from None


def _sentence(folder: Path, error: OSError) -> str:
    user = f"{os.geteuid()}:{os.getegid()}"
    fix = "free space on it, or take a larger one"
    if error.errno in NOT_OURS:
        fix = (
            f"give the volume to {user} (chown -R {user} where it is served, or a storage class that knows fsGroup), "
            "or let PINCLIP_HOME name another folder"
        )
    return f"{folder} cannot be written as {user} ({error.strerror}); {fix}."


def main() -> None:
    """Exit codes: 0 done, 2 a folder that cannot be written."""
    try:
        make_folders(map(Path, sys.argv[1:]))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    sys.stdout.write(f"Writable: {', '.join(sys.argv[1:])}\n")


if __name__ == "__main__":
    main()
