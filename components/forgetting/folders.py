"""Folders of runs, looks and studies, catalogues, and other working copies: everything below them, file by file.

Folders("run folders", [Path("runs")])      vectors, quantized, neighbours, examples, report, quarantine, log …
Working(settings, …)                         copies that nobody needs any more, or that somebody holds just now
"""

from collections.abc import Iterable
from pathlib import Path

from components.forgetting.pins import Pins
from components.forgetting.place import Counts
from components.forgetting.tree import look_into

WORK = ".work"  # pipelines/local/runs.py: runs at work, and what killed ones left


class Folders:
    def __init__(self, name: str, folders: Iterable[Path]) -> None:
        self.name, self.folders = name, [folder for folder in folders if folder.is_dir()]

    def find(self, pins: Pins) -> Counts:
        return self._each(pins, False)

    def erase(self, pins: Pins) -> Counts:
        return self._each(pins, True)

    def _each(self, pins: Pins, erase: bool) -> Counts:
        looked = (pair for folder in self.folders for pair in look_into(folder, pins, erase, without=WORK))
        return {str(path): found for path, found in looked}
