"""Allows at most one notice and one training in a period, however many monitoring runs there are at once.

<home>/monitoring/state.json    {"notice": "2026-11-21T20:00:00+00:00", "training": …}    when each last went out
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from components.settings import Settings
from model.files import file_lock, write_json


class Cooldown:
    def __init__(self, settings: Settings, hours: float) -> None:
        self.folder, self.pause = settings.home / "monitoring", timedelta(hours=hours)

    @property
    def file(self) -> Path:
        return self.folder / "state.json"

    @contextmanager
    def once(self, what: str, now: datetime) -> Iterator[bool]:
        """Whether `what` may go out now. Others wait for the block's end.

        The time is written first, so a killed process may lose a notice but never sends two. If the block raises, the
        time is taken back.
        """
        with file_lock(self.folder / "lock", wait=True):
            state = json.loads(self.file.read_text(encoding="utf-8")) if self.file.is_file() else {}
            if what in state and now < datetime.fromisoformat(state[what]) + self.pause:
                yield False
                return
            write_json(self.file, state | {what: now.isoformat()})
            try:
                yield True
            except BaseException:
                write_json(self.file, state)
                raise
