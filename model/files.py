"""Atomic writes (write beside, then rename), so that nothing half-written is ever read, and file locks."""

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import file_digest, sha256
from pathlib import Path

SCRATCH = re.compile(r"\..+\.([0-9a-f]{8}-)?(\d+)\.partial")  # the names that replaced() writes under
QUIET = 3600.0  # seconds without a change after which what another machine's process wrote is nobody's
BOOT, PROCESSES = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yields a scratch path beside `path`; on success it takes the place of `path` (a file or a folder).

    On an error the scratch is removed and `path` is left as it was. What processes that were killed left is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    scratch = path.parent / f".{path.name}.{process_namespace()}{os.getpid()}.partial"
    remove(scratch)
    try:
        yield scratch
        if path.is_dir() and not path.is_symlink():
            retired = path.parent / f".{path.name}.{process_namespace()}{os.getpid()}.retired"
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


def sha256_of(file: Path) -> str:
    """Of its bytes, in hexadecimal digits."""
    with file.open("rb") as opened:
        return file_digest(opened, "sha256").hexdigest()


def _sweep(path: Path) -> None:
    """Removes what dead processes left beside `path`: those of this machine alone, for of others nobody here knows."""
    place = process_namespace()
    mine = re.compile(rf"\.{re.escape(path.name)}\.{place}(\d+)\.(partial|retired)")
    for left in path.parent.iterdir() if place else ():
        found = mine.fullmatch(left.name)
        if not found or int(found[1]) == os.getpid() or _lives(int(found[1])):
            continue
        with suppress(OSError):  # another process may sweep at this moment, or it is not ours to remove
            if found[2] == "retired" and not path.exists():  # killed between its two renames
                left.replace(path)
            remove(left)


@cache
def process_namespace() -> str:
    """A name of the processes that share numbers with this one: of one start of a machine, in one container, with "-".

    "" where the system does not say.
    """
    try:
        said = f"{BOOT.read_text().strip()} {PROCESSES.readlink()}"
    except OSError:
        return ""
    return sha256(said.encode()).hexdigest()[:8] + "-"


def is_scratch(path: Path) -> bool:
    """Whether it is written at present, or was when a process was killed: see replaced()."""
    return SCRATCH.fullmatch(path.name) is not None


def is_abandoned(scratch: Path) -> bool:
    """Whether the process that wrote it is gone: surely so on this machine, elsewhere by its age."""
    found, place = SCRATCH.fullmatch(scratch.name), process_namespace()
    if found and place and found[1] == place:
        return not _lives(int(found[2]))
    try:
        newest = max(path.lstat().st_mtime for path in (scratch, *scratch.rglob("*")))
    except FileNotFoundError:  # it is at work, or ready
        return False
    return time.time() - newest > QUIET


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def remove(path: Path) -> None:
    """Removes a file, a link or a folder; nothing where there is none."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    elif path.is_dir():
        shutil.rmtree(path)
