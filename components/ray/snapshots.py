"""The snapshot files of trainings: <PINCLIP_HOME>/snapshots/<data>-<settings>-<step>.safetensors.

The name is derived from the prepared data, the settings that determine the weights, and the code: the same training,
started again after a kill, finds its snapshot and resumes, even if the gate or the run's name has changed. A finished
training removes its snapshot; one that is not resumed is removed after a week. On a cluster all nodes must see the
folder.
"""

import hashlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.settings import Settings
from model.config import TRAINED, Config
from model.training.snapshot import Snapshot

KEPT = 7 * 24 * 3600.0  # seconds


def snapshot_file(step: str, config: Config, prepared: Mapping[str, Any], settings: Settings) -> Path:
    """The snapshot file of this training; removes those that were not resumed within a week.

    Where there is none, the log says of each other snapshot of this data which setting differs.

    Args:
        prepared: metadata of the step prepare: `digest` of what it wrote, `git_rev`.
    """
    folder = settings.home / "snapshots"
    for left in folder.glob("*.safetensors"):
        if time.time() - left.stat().st_mtime > KEPT:
            left.unlink(missing_ok=True)
    data = _short(str(prepared.get("digest", "")))
    told = _short(config.only(TRAINED).to_json() + str(prepared.get("git_rev", "")))
    file = folder / f"{data}-{told}-{step}.safetensors"
    if not file.is_file():
        for other in folder.glob(f"{data}-*-{step}.safetensors"):
            why = Snapshot(other, config).difference() or "it was made by another revision of the code"
            logging.getLogger(__name__).warning("The snapshot %s is passed over: %s.", other, why)
    return file


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
