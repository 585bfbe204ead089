"""A folder on disk, file by file: what is of a known shape is erased as such, everything else by its format.

A prepared catalogue (model/data/preparation.py) is made anew by whoever needs it, so a folder that holds the Pins goes
whole, decoded pixels included. A graph's folder is rewritten as one. What a killed process was writing goes too: it is
nobody's, and often too short to be read.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from components.forgetting import formats
from components.forgetting.formats import neighbours
from components.forgetting.pins import Pins
from model.files import is_abandoned, is_scratch, remove

BOARDS = "boards"  # of a catalogue: they say which queries are titles of a user, so they go after those
MODEL = "model.safetensors"  # the folder of a model: weights, tokenizer and settings, listed by what stays


def look_into(root: Path, pins: Pins, erase: bool = False, without: str = "") -> Iterator[tuple[Path, int]]:
    """(file or folder, rows and entries found) of everything below, but for folders of the name `without`.

    Links that lead out of `root` are followed, as those do that read it.
    """
    seen = [root.resolve()]
    for path, directories, files in os.walk(root, followlinks=True):
        folder = Path(path)
        left = {name for name in (*directories, *files) if is_scratch(folder / name) and is_abandoned(folder / name)}
        for name in sorted(left):
            yield folder / name, 1  # whosever it is
            if erase:
                remove(folder / name)
        files = [name for name in files if name not in left]
        kept = (name for name in directories if name not in {without, *left})
        directories[:] = sorted(kept, key=lambda name: (name == BOARDS, name))
        directories[:] = [name for name in directories if _is_new(folder / name, seen)]
        if is_prepared(folder):
            found = sum(count for _, count in _files(folder, pins, False))
            if found and erase:
                remove(folder)
            yield folder, found
            directories.clear()
        elif neighbours.is_graph(folder):
            yield folder, neighbours.look(folder, pins, erase)
            directories.clear()
        elif MODEL in files:
            directories.clear()
        else:
            yield from ((folder / name, _looked(folder / name, pins, erase)) for name in sorted(files))


def _is_new(folder: Path, seen: list[Path]) -> bool:
    """Whether its files were not met, and are not met elsewhere: a link may lead to any folder."""
    if not folder.is_symlink():
        return True
    target = folder.resolve()
    if any(target.is_relative_to(one) for one in seen):
        return False
    seen.append(target)
    return True


def is_prepared(folder: Path) -> bool:
    return (folder / "facts.parquet").is_file() and (folder / "catalogue" / "pins").is_dir()


def _files(folder: Path, pins: Pins, erase: bool) -> Iterator[tuple[Path, int]]:
    for path, _, files in os.walk(folder):
        yield from ((Path(path) / name, _looked(Path(path) / name, pins, erase)) for name in sorted(files))


def _looked(file: Path, pins: Pins, erase: bool) -> int:
    """0 for a file that has gone meanwhile. In the place of a link to a file comes a file without the Pins."""
    try:
        return formats.look(file, pins, erase) if file.is_file() else 0
    except FileNotFoundError:
        return 0
