"""Atomic writes (write beside, then rename), so that nothing half-written is ever read, and file locks."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yields a scratch path beside `path`; on success it takes the place of `path` (a file or a folder).

    On an error the scratch is removed and `path` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.parent / f".{path.name}.{os.getpid()}.partial"
    remove(scratch)
    try:
        yield scratch
        if path.is_dir() and not path.is_symlink():
            retired = path.parent / f".{path.name}.{os.getpid()}.retired"
            path.replace(retired)
            scratch.replace(path)
            remove(retired)
        else:
            scratch.replace(path)
    finally:
        remove(scratch)


@contextmanager
def file_lock(file: Path, wait: bool = False) -> Iterator[bool]:
    """Locks `file` and yields True; while another process has the lock it yields False or, with `wait`, waits."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as opened:
        yield lock_descriptor(opened.fileno(), wait)


def lock_descriptor(descriptor: int, wait: bool = False) -> bool:
    """Locks an open file or folder until it is closed. While another process has the lock: False or, with `wait`,
    waits.

    The operating system ends the lock with the process, however that ends.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def write_text(path: Path, text: str) -> None:
    with replaced(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")


def remove(path: Path) -> None:
    """Removes a file, a link or a folder; nothing where there is none."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.is_dir():
        shutil.rmtree(path)
