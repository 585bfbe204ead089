"""Run folders: claimed while a run works, filled beside their place and renamed when complete.

runs/20261121-093412/          a run that succeeded: metrics.json, report.html, lineage.json, model/, vectors/ …
runs/20261121-101500.failed/   one that failed: its log, its events, the validation's pages
runs/.work/20261121-110000/    one at work, locked by its process; the next run clears what a killed one left
runs/latest                    link to the last that succeeded
"""

import glob
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from components.progress import finished
from model.errors import RunError
from model.files import lock_descriptor, remove, replaced, write_json

WORK, LATEST, MARK = ".work", "latest", "lineage.json"
# Of what a run keeps, what tells why it failed.
EVIDENCE = ("validation", "validation-vectors", "validation.json", "prepared.json", "quarantine.parquet")


def fresh_name(runs: Path) -> Path:
    """An unused run folder in `runs`, named by the time."""
    name = f"{datetime.now():%Y%m%d-%H%M%S}"
    names = [name, *(f"{name}-{n}" for n in range(2, 100))]
    return next(runs / n for n in names if not (runs / n).exists() and not (runs / WORK / n).exists())


@contextmanager
def claimed(out: Path) -> Iterator[Path]:
    """Yields an empty work folder on the file system of `out`, this process's alone; removed at the end.

    Raises:
        RunError: `out` is no place for a run, or another run is at work on it.
    """
    _check_place(out)
    work = out.parent / WORK / out.name
    lock = _lock(work)
    if lock is None:
        raise RunError(f"Another run is writing {out}; wait for its end or choose another --out.")
    try:
        _clear_what_was_killed(out)
        yield work
    finally:
        remove(work)
        os.close(lock)
        with suppress(OSError):  # another run is at work beside this one
            work.parent.rmdir()


def publish(work: Path, out: Path, lineage: dict[str, Any], kept: Mapping[str, str]) -> None:
    """Puts the finished run in its place, then moves runs/latest to it.

    kept: place in the run folder -> task/output/path of what is moved there (pipelines/training.py: KEPT).
    lineage.json gets `lineage`, the configuration, the validation's verdict and the model version;
    metrics.json gains seconds and memory by step, and the version.
    """
    with replaced(out) as scratch:
        scratch.mkdir()
        _move(work, scratch, kept)
        config = _read(work / "request.json")["config"]
        write_json(scratch / "config.json", config)
        version, metrics, validation = (
            _read(scratch / f"{name}.json") for name in ("version", "metrics", "validation")
        )
        ends = finished(scratch / "events.jsonl")
        metrics["timing_s"] = {step: end["seconds"] for step, end in ends.items()}
        metrics["peak_memory_bytes"] = {step: end["peak_bytes"] for step, end in ends.items()}
        metrics["model"]["version"] = version["version"]
        write_json(scratch / "metrics.json", metrics)
        verdict = {name: validation[name] for name in ("success", "failures", "warnings")}
        write_json(scratch / MARK, lineage | {"config": config, "validation": verdict, "model": version})
    _point_latest(out)
    remove(_failed(out))


def keep(work: Path, out: Path, lineage: dict[str, Any], kept: Mapping[str, str]) -> Path:
    """Moves the outputs of a pipeline that trains nothing to their place; runs/latest stays where it is."""
    with replaced(out) as scratch:
        scratch.mkdir()
        _move(work, scratch, kept)
        write_json(scratch / MARK, lineage)
    return out


def keep_evidence(work: Path, out: Path, kept: Mapping[str, str]) -> Path:
    """Saves what tells why a run failed beside the place it would have taken; returns that folder."""
    with replaced(_failed(out)) as scratch:
        scratch.mkdir()
        _move(work, scratch, {place: source for place, source in kept.items() if place in EVIDENCE})
        (work / "request.json").replace(scratch / "request.json")
    return _failed(out)


def _failed(out: Path) -> Path:
    return out.with_name(f"{out.name}.failed")


def _move(work: Path, target: Path, kept: Mapping[str, str]) -> None:
    """Moves the log, the events and the kept outputs that are there; renames, for all is on one file system."""
    for name in ("pipeline.log", "events.jsonl"):
        (work / name).replace(target / name)
    for outputs in (work / "artifacts").glob("*"):
        for place, source in kept.items():
            if (outputs / source).exists():
                (outputs / source).replace(target / place)


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _point_latest(out: Path) -> None:
    """Moves the link in one rename: runs/latest points at the run before or at this one, never at none."""
    link = out.parent / f".{LATEST}.{os.getpid()}"
    remove(link)
    link.symlink_to(out.name, target_is_directory=True)
    link.replace(out.parent / LATEST)


def _check_place(out: Path) -> None:
    if out.name in ("", LATEST, WORK) or out.is_symlink():
        raise RunError(f"{out} is no name for a run ({LATEST} is the link to the last one); choose another --out.")
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file()):
        raise RunError(f"{out} holds something else than a run; choose another --out, or empty it first.")
    latest = out.parent / LATEST
    if latest.exists() and not latest.is_symlink():
        raise RunError(f"{latest} is in the way of the link to the last run; move it elsewhere.")


def _lock(folder: Path) -> int | None:
    """A descriptor that locks the folder until it is closed or its process ends; None while another process has it."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        if not lock_descriptor(descriptor):
            os.close(descriptor)
            return None
        with suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == folder.stat().st_ino:
                return descriptor
        os.close(descriptor)  # its owner removed the folder between our two looks


def _clear_what_was_killed(out: Path) -> None:
    """Removes what killed runs left: work folders nobody locks, half-made folders of this run's name."""
    work = out.parent / WORK / out.name
    for left in work.iterdir():
        remove(left)
    for other in work.parent.iterdir():
        if other != work and other.is_dir() and (lock := _lock(other)) is not None:
            remove(other)
            os.close(lock)
    name = glob.escape(f".{out.name}.")
    for retired in out.parent.glob(f"{name}*.retired"):
        # Killed between the two renames that replace a run: the old one goes back.
        remove(retired) if out.exists() else retired.replace(out)
    for partial in out.parent.glob(f"{name}*.partial"):
        remove(partial)
