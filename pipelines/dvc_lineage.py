"""The md5 under which DVC keeps a catalogue, read from its own files: DVC itself is not needed, nor asked.

DVC writes dvc.lock after every stage, so a pipeline stage already finds the catalogue's entry there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


def dvc_md5(catalogue: Path) -> str | None:
    """`<md5>.dir` of the folder, from `<catalogue>.dvc` or the nearest dvc.lock above it that names it as an output.

    None where DVC does not know the folder, or knows one of another size: an uncertain md5 is left out.
    """
    catalogue = catalogue.resolve()
    for entry in _entries(catalogue):
        files = [path for path in catalogue.rglob("*") if path.is_file()]
        measured = (len(files), sum(path.stat().st_size for path in files))
        return entry["md5"] if measured == (entry.get("nfiles"), entry.get("size")) else None
    return None


def _entries(catalogue: Path) -> Iterator[dict[str, Any]]:
    """What `dvc add` or a stage's outputs say of the folder, the most specific first."""
    pointer = catalogue.with_name(catalogue.name + ".dvc")
    if pointer.is_file():
        yield from _named(_yaml(pointer).get("outs"), catalogue, pointer.parent)
    for folder in catalogue.parents:
        if (folder / "dvc.lock").is_file():
            for stage in (_yaml(folder / "dvc.lock").get("stages") or {}).values():
                yield from _named(stage.get("outs"), catalogue, folder)


def _named(outs: list[dict[str, Any]] | None, catalogue: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """An entry without an md5 is one that DVC has not computed yet, or keeps elsewhere under an etag."""
    for out in outs or []:
        if (folder / out["path"]).resolve() == catalogue and "md5" in out:
            yield out


def _yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
