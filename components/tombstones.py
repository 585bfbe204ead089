"""Tombstones: <home>/forgotten.jsonl, by which everybody who could bring a forgotten Pin back leaves it out.

    source_catalogue(path, settings)    a catalogue without its forgotten Pins: for prepare, sync, monitoring, studies
    read_tombstones(settings)           for publishing; the service reads the same file (serving/service/forgotten.py)

`pinclip forget` writes the tombstone first and erases after that, so that what reads from then on brings nothing back.
"""

import json
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from components.settings import Settings
from model.data.catalogue import Catalogue
from model.data.forgotten import Forgotten
from model.files import file_lock
from serving.space import forgotten_file


def tombstones_file(settings: Settings) -> Path:
    return forgotten_file(settings.home / "feast")


def read_tombstones(settings: Settings) -> Forgotten:
    return Forgotten.read(tombstones_file(settings))


def source_catalogue(path: Path, settings: Settings) -> Catalogue:
    """
    Raises:
        CatalogueError: see Catalogue.
        StoreError: the tombstones are damaged.
    """
    return Catalogue(path, read_tombstones(settings))


def bury(pin_ids: Sequence[str], settings: Settings, lifted: bool = False) -> Forgotten:
    """Writes a tombstone for each Pin that has none, or lifts it; on disk when it returns. Returns all tombstones."""
    file, now = tombstones_file(settings), datetime.now(UTC).isoformat(timespec="seconds")
    with file_lock(file.with_name(".forgotten.lock"), wait=True), file.open("a+b") as opened:
        opened.seek(0)
        whole = opened.read().rpartition(b"\n")
        opened.truncate(len(whole[0]) + len(whole[1]))
        if not whole[0]:
            opened.write(json.dumps({"salt": secrets.token_hex(16)}).encode() + b"\n")
            opened.flush()
        known = Forgotten.read(file)
        for digest in dict.fromkeys(map(known.digest, pin_ids)):
            if (digest in known.times) == lifted:
                line = {"digest": digest, "time": now} | ({"lifted": True} if lifted else {})
                opened.write(json.dumps(line).encode() + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    return Forgotten.read(file)
