"""Where a prepared catalogue lies: in the step's own artifact on one machine, on the volume of all steps on a cluster.

KFP sends an artifact through its object store, and copies it into the pod of every step that reads it. Decoded pixels
are too much for that. So where PINCLIP_PREPARED names a folder that all steps see:

    <folder>/<digest>/              what prepare writes (model/data/preparation.py), and pixels.u8
    <folder>/<digest>/files.json    the size and the sha256 of each of its files; `digest` is the sha256 of files.json
    the artifact                    one small file: path, digest, bytes

The digest follows from the bytes, so that the same data lies there once. A step that begins to read a folder marks it
with the time. Each prepare removes those that no step has begun to read for KEPT, but for the newest two.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.settings import Settings
from model.errors import RunError
from model.files import remove, sha256_of, write_json

FILES = "files.json"
KEPT = 3 * 24 * 3600.0  # seconds; a step of the shipped profiles ends within them
NEWEST = 2


@contextmanager
def prepared_into(artifact: Path, settings: Settings) -> Iterator[Path]:
    """The folder to prepare into; at the end the artifact is the folder itself or names it."""
    if settings.prepared is None:
        yield artifact
        return
    settings.prepared.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=settings.prepared) as scratch:
        yield Path(scratch) / "prepared"
        write_json(artifact, _kept(Path(scratch) / "prepared", settings.prepared))
    _prune(settings.prepared)


def prepared_folder(artifact: Path) -> Path:
    """What the artifact is, or names.

    Raises:
        RunError: the folder that it names is gone from the volume, or is not what was written.
    """
    if artifact.is_dir():
        return artifact
    told = json.loads(artifact.read_text(encoding="utf-8"))
    folder = Path(told["path"])
    if wrong := _difference(folder, told["digest"]):
        raise RunError(
            f"The prepared catalogue {folder} {wrong}; prepare it anew with `pinclip submit --no-cache`, and see that "
            "every step has the volume."
        )
    folder.touch()
    return folder


def _kept(made: Path, volume: Path) -> dict[str, str | int]:
    """Gives the folder its name and returns the artifact; where the same lies there whole, that one stays."""
    files = {str(file.relative_to(made)): file for file in sorted(made.rglob("*")) if file.is_file()}
    sizes = {name: (file.stat().st_size, sha256_of(file)) for name, file in files.items()}
    write_json(made / FILES, sizes)
    digest = sha256_of(made / FILES)
    folder = volume / digest
    if _difference(folder, digest):
        remove(folder)
        made.rename(folder)
    folder.touch()
    return {"path": str(folder), "digest": digest, "bytes": sum(size for size, _ in sizes.values())}


def _difference(folder: Path, digest: str) -> str:
    """How the folder differs from the one that was written; "" where it does not. No content is read again."""
    if not (folder / FILES).is_file():
        return "is not there"
    if sha256_of(folder / FILES) != digest:
        return f"is another one, for {FILES} has another digest"
    for name, (size, _) in json.loads((folder / FILES).read_text(encoding="utf-8")).items():
        if not (folder / name).is_file():
            return f"lacks {name}"
        if (found := (folder / name).stat().st_size) != size:
            return f"has {found} of the {size} bytes of {name}"
    return ""


def _prune(volume: Path) -> None:
    """Also removes what a killed prepare left behind, like a folder that nobody reads."""
    ages = sorted((time.time() - one.stat().st_mtime, one) for one in volume.iterdir())
    for age, one in ages[NEWEST:]:
        if age > KEPT:
            shutil.rmtree(one, ignore_errors=True)
