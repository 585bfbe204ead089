"""Where a training remembers how far it is: <PINCLIP_HOME>/snapshots/<run>-<step>.safetensors.

`run` names code, configuration and catalogue (pipelines/lineage.py), so the same command, given again after a kill,
finds the snapshot and goes on. A finished training removes its own; one that nobody came back for goes after a week.
On a cluster all nodes must see the folder.
"""

import time
from pathlib import Path

from components.settings import Settings

KEPT = 7 * 24 * 3600.0  # seconds


def snapshot_file(run: str, step: str, settings: Settings) -> Path:
    """The file of this training, and the end of those that nobody came back for."""
    folder = settings.home / "snapshots"
    for left in folder.glob("*.safetensors"):
        if time.time() - left.stat().st_mtime > KEPT:
            left.unlink(missing_ok=True)
    return folder / f"{run}-{step}.safetensors"
