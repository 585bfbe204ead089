"""Stores an index on disk. Whenever a writer is killed, readers find either the old snapshot or the new one, whole.

    <folder>/manifest.json            the space, which snapshot is the one, and the checksum of each of its files
    <folder>/snapshot-3f2a…/          codes.faiss · finder.faiss    the faiss structure, memory-mapped
                                      pins.arrow                    pin_id · time, by row; memory-mapped
                                      rows.npy                      living rows in the order of their ids
                                      about.json                    affine, config, deleted: pin_id -> time

The manifest is written last and replaced in one rename; snapshots that it does not name are then removed. A reader that
has the old snapshot open keeps its files until it closes them.
"""

import json
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from model.embedding.affine import Affine
from model.errors import VectorIndexError
from model.files import remove, sha256_of, write_json
from serving.index.base import Base
from serving.index.config import IndexConfig
from serving.index.structures import CODES_FILE, FINDER_FILE, STRUCTURES

FORMAT = 1
MANIFEST = "manifest.json"
PINS_FILE, ROWS_FILE, ABOUT_FILE = "pins.arrow", "rows.npy", "about.json"
FILES = (CODES_FILE, FINDER_FILE, PINS_FILE, ROWS_FILE, ABOUT_FILE)


@dataclass(frozen=True)
class Saved:
    base: Base
    deleted: dict[str, int]  # microseconds since 1970
    config: IndexConfig


def write(folder: Path, saved: Saved, space: str) -> None:
    """One writer a folder at a time."""
    snapshot = folder / f"snapshot-{uuid.uuid4().hex[:12]}"
    try:
        snapshot.mkdir(parents=True)
        files = write_snapshot_files(snapshot, saved)
        about = {"format": FORMAT, "space": space, "pins": len(saved.base.rows_L)}
        write_json(folder / MANIFEST, {**about, "snapshot": snapshot.name, "files": files})
    except BaseException:
        remove(snapshot)
        raise
    for other in folder.glob("snapshot-*"):
        if other != snapshot:
            remove(other)


def read(folder: Path, space: str) -> Saved:
    """The snapshot, memory-mapped, after its checksums were compared.

    Raises:
        VectorIndexError: there is none, it is of another space, or a file is missing or corrupt.
    """
    manifest = _manifest(folder)
    if manifest["space"] != space:
        raise VectorIndexError(
            f"The index in {folder} is of the space {manifest['space']}, not of {space}, and vectors of two spaces "
            f"never meet; build one of {space}."
        )
    try:
        return _read_files(folder / manifest["snapshot"], manifest["files"])
    except VectorIndexError:
        if _manifest(folder)["snapshot"] == manifest["snapshot"]:
            raise
        return read(folder, space)  # it was replaced while we read


def live_snapshot(folder: Path) -> Path:
    """The snapshot that readers open.

    Raises:
        VectorIndexError: there is no index.
    """
    return folder / str(_manifest(folder)["snapshot"])


def saved_effort(folder: Path) -> int:
    """The effort of the snapshot, 0 where none can be read."""
    try:
        about = json.loads((live_snapshot(folder) / ABOUT_FILE).read_text(encoding="utf-8"))
        return int(about["config"]["effort"])
    except (VectorIndexError, OSError, ValueError, KeyError, TypeError):
        return 0


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        stored = manifest["format"], manifest["space"], manifest["snapshot"], manifest["files"].keys()
    except FileNotFoundError:
        raise VectorIndexError(f"There is no index in {folder}; build one from the space's shards.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _corrupt(folder / MANIFEST) from None
    if stored[0] != FORMAT:
        raise VectorIndexError(f"The index in {folder} has format {stored[0]}, not {FORMAT}; build it anew.")
    return manifest


def write_snapshot_files(snapshot: Path, saved: Saved) -> dict[str, str]:
    """The checksum of each file, by name."""
    base = saved.base
    base.structure.write(snapshot)
    batch = pa.record_batch({"pin_id": base.ids, "time": base.times_N})
    with pa.OSFile(str(snapshot / PINS_FILE), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)
    np.save(snapshot / ROWS_FILE, base.rows_L)
    about = {"affine": asdict(base.structure.affine), "config": asdict(saved.config), "deleted": saved.deleted}
    write_json(snapshot / ABOUT_FILE, about)
    return {name: sha256_of(snapshot / name) for name in FILES}


def _read_files(snapshot: Path, files: dict[str, str]) -> Saved:
    try:
        for name in FILES:
            if sha256_of(snapshot / name) != files.get(name):
                raise _corrupt(snapshot / name)
        about = json.loads((snapshot / ABOUT_FILE).read_text(encoding="utf-8"))
        affine, config = Affine.of(about["affine"]), IndexConfig(**about["config"])
        structure = STRUCTURES[config.kind].read(snapshot, affine)
        with pa.memory_map(str(snapshot / PINS_FILE)) as file:
            pins = pa.ipc.open_file(file).get_batch(0)
        rows_L = np.load(snapshot / ROWS_FILE, mmap_mode="r")
    except (OSError, RuntimeError) as error:  # faiss answers with RuntimeError
        raise VectorIndexError(f"{snapshot} can't be read ({error}); build the index anew.") from None
    return Saved(Base(structure, pins["pin_id"], pins["time"].to_numpy(), rows_L), about["deleted"], config)


def _corrupt(file: Path) -> VectorIndexError:
    return VectorIndexError(f"{file} is corrupt; build the index anew from the space's shards.")
