"""The folder on the shared volume through which step and RayJob exchange files: <path>/rayjobs/<name of the RayJob>.

    prepared/ neighbours/   copies of the step's inputs, unless these lie on the volume already
    extraction.json         a copy of the step's, where frozen towers are kept
    anchors.parquet         a copy of the step's, where the new vectors stay comparable with a former version's
    request.json            what to train
    model/                  what was trained
    outcome.json            the figures of the training, or the sentence with which it was refused
    followed                the step's heartbeat (components/ray/rayjob/heartbeat.py)

The step deletes it after it has taken the outcome; a folder that was left behind is deleted after a week.
"""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from components.ray.rayjob.manifest import USER
from components.ray.snapshots import KEPT
from model import errors
from model.config import Config
from model.errors import PinclipError, RunError, TrainingError
from model.files import remove, replaced, write_json, write_text

Figures = dict[str, Any]


class SharedFolder:
    def __init__(self, volume: Path, name: str) -> None:
        self.volume, self.folder = volume, volume / "rayjobs" / name

    def ask(
        self,
        prepared: Path,
        neighbours: Path,
        config: Config,
        step: str,
        snapshot: Path | None,
        nodes: int,
        extracted: Path | None = None,
        anchors: Path | None = None,
    ) -> None:
        """Writes the request, also on a repeated start; `nodes` counts those of the Ray cluster with its head.

        Raises:
            RunError: the volume is full or cannot be written to.
        """
        with _writing(self.folder):
            _sweep(self.folder.parent)
            request = {
                "prepared": str(self._shared(prepared, "prepared")),
                "neighbours": str(self._shared(neighbours, "neighbours")),
                "config": json.loads(config.to_json()),
                "step": step,
                "snapshot": str(snapshot or self.folder / "snapshot.safetensors"),
                "nodes": nodes,
            }
            if extracted:
                write_text(self.folder / "extraction.json", extracted.read_text(encoding="utf-8"))
            if anchors:
                with replaced(self.folder / "anchors.parquet") as scratch:
                    shutil.copyfile(anchors, scratch)
            write_json(self.folder / "request.json", request)

    @property
    def outcome(self) -> str:
        """Either "figures" or, of a training that failed, "refusal"; empty as long as there is none."""
        return read_outcome(self.folder)

    def forget_outcome(self) -> None:
        """Deletes the outcome of a failed RayJob, so that the next one is not judged by it."""
        with suppress(OSError):
            remove(self.folder / "outcome.json")

    def take(self, out: Path) -> Figures:
        """Moves the model to `out` and deletes the folder.

        Raises:
            PinclipError: what the training refused with.
            TrainingError: it left no outcome.
            RunError: `out` cannot be written.
        """
        if not self.outcome:
            raise TrainingError(f"The training ended and left no outcome in {self.folder}; start the step again.")
        outcome = json.loads((self.folder / "outcome.json").read_text(encoding="utf-8"))
        if "figures" in outcome:
            with _writing(out), replaced(out) as scratch:
                shutil.copytree(self.folder / "model", scratch)
        remove(self.folder / "outcome.json")  # first: it must not answer for another training
        shutil.rmtree(self.folder, ignore_errors=True)  # on NFS a file that a Ray pod still holds stays until it ends
        if "figures" in outcome:
            figures: Figures = outcome["figures"]
            return figures
        raise training_refusal(outcome)

    def _shared(self, source: Path, name: str) -> Path:
        """Where the Ray pods see the folder."""
        source = source.absolute()
        if source.is_relative_to(self.volume):
            return source
        if not (self.folder / name).is_dir():  # left by an earlier try, it is whole
            with replaced(self.folder / name) as scratch:
                shutil.copytree(source, scratch)
        return self.folder / name


def read_outcome(folder: Path) -> str:
    try:
        outcome = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
    except OSError:  # a volume that fails for a while says nothing either
        return ""
    return "figures" if "figures" in outcome else "refusal"


def training_refusal(said: Figures) -> PinclipError:
    """The error that the training refused with, from its outcome.json or its log."""
    error: PinclipError = getattr(errors, said["refusal"])(said["message"])
    return error


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)[:200]
        raise RunError(
            f"Cannot copy to {place} ({reason}); make room there, or let user {USER} write to it."
        ) from error


def _sweep(folder: Path) -> None:
    for left in folder.glob("*"):
        if time.time() - left.stat().st_mtime > KEPT:
            shutil.rmtree(left, ignore_errors=True)
