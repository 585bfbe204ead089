"""Paths of what promotion keeps outside Feast.

<home>/events.jsonl             which space `pin_ranking` served, and when (components/spaces/serving_history.py)
<home>/switching.json           the last switch that was begun, for one that is killed before its event is written
<home>/serving/<space>/index    the space's index, as `pinclip serve` opens it
<home>/serving/<space>/model    its model folder, once a Pin had to be embedded
<home>/serving/<space>/reference    what it was trained on, for monitoring (components/spaces/drift_reference.py)
<home>/serving/<space>/queries.npy    vectors of searches, to check the index with (components/spaces/query_sample.py)
<home>/serving/<space>/tags.json    what the scores of tags are worth (components/spaces/tag_calibration.py)
<home>/sync.lock                held by the sync that is at work
"""

from pathlib import Path

from components.settings import Settings


def events_file(settings: Settings) -> Path:
    return settings.home / "events.jsonl"


def switching_file(settings: Settings) -> Path:
    return settings.home / "switching.json"


def state_folder(space: str, settings: Settings) -> Path:
    return settings.home / "serving" / space


def sync_lock(settings: Settings) -> Path:
    return settings.home / "sync.lock"
