"""The folder of this project's packages, for processes that must find them before modules of other people with the same
names. It stands beside the packages and imports none of them."""

import os
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent)
PATH = "PYTHONPATH"


def own_path_first() -> str:
    """PYTHONPATH of a child process that has to find the packages beside this file before all others."""
    others = [folder for folder in os.environ.get(PATH, "").split(os.pathsep) if folder not in ("", ROOT)]
    return os.pathsep.join([ROOT, *others])
