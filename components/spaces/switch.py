"""The switch: `pin_ranking` moves to another space by one write of Feast's registry, and the event is written down.

The tag `space` of that FeatureService alone decides which space serves: the ranker's features, and through it the
index.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from components.mlflow_client import connect, mlflow_errors
from components.settings import Settings
from components.spaces import serving_history
from components.spaces.feature_store import writing
from components.spaces.paths import switching_file
from components.spaces.published_spaces import published_space, serving_space
from components.spaces.serving_history import PROMOTED, RETIRED, ROLLED_BACK, SERVED, SpaceEvent
from model.files import write_json

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_repo.ranking_services import SpaceObjects

PUBLISH, SYNC, PROMOTE, ROLLBACK = "publish", "sync", "promote", "rollback"


def switch(
    store: "FeatureStore",
    space: "SpaceObjects",
    settings: Settings,
    by: str,
    still: Callable[[], bool],
    reason: str = "",
) -> bool:
    """Moves `pin_ranking` to the space if `still()` is true; it is called under the lock, so nobody else can move it.

    Returns whether `pin_ranking` is on the space. If it is killed after the write, the next call writes the event, by
    what was written down before.
    """
    with writing(store):
        if not still():
            return False
        now, written = (
            serving_space(settings),
            [one for one in serving_history.read_events(settings) if one.event != RETIRED],
        )
        if now != space.name:
            write_json(switching_file(settings), {"space": space.name, "by": by, "reason": reason})
            store.apply([space.moving_service()])
        last = written[-1] if written else None
        if last is None or last.space != space.name or (last.event == SERVED and by != PUBLISH):
            served = serving_history.served(written) or [now or space.name]
            known = any(one.space == space.name and one.event != SERVED for one in written)
            _record(space, [] if served[-1] == space.name else served, settings, by, reason, known)
        return True


def settle(store: "FeatureStore", settings: Settings) -> list[str]:
    """The spaces served one after the other, the last one now; writes down a switch whose event a kill has lost."""
    now, written = serving_space(settings), serving_history.served(serving_history.read_events(settings))
    if now and written[-1:] != [now] and (space := published_space(now, settings)):
        by, reason = _begun(now, settings)
        switch(store, space, settings, by, lambda: serving_space(settings) == now, reason)
    return serving_history.served(serving_history.read_events(settings))


def _begun(space: str, settings: Settings) -> tuple[str, str]:
    """(by, reason) of the switch to the space that was begun last; of one that nobody wrote down, a sync's."""
    file = switching_file(settings)
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return (found["by"], found["reason"]) if found.get("space") == space else (SYNC, "")


def _record(
    space: "SpaceObjects", former: list[str], settings: Settings, by: str, reason: str, was_champion: bool
) -> None:
    """The event, and in MLflow the times as tags; the event comes last, as the mark that nothing is left to do.

    Somebody who names the version, or makes one the champion that never was, promotes it, even if it served before.
    """
    time, version = datetime.now(UTC).isoformat(timespec="seconds"), space.manifest.model_version
    back = former[-2:-1] == [space.name] and (by == ROLLBACK or (by == SYNC and was_champion))
    kind = ROLLED_BACK if back else SERVED if by == PUBLISH else PROMOTED
    if kind != SERVED:
        tag_serving_times(version, "pinclip.promoted_at", time, settings)
        if former and (before := published_space(former[-1], settings)):
            tag_serving_times(before.manifest.model_version, "pinclip.demoted_at", time, settings)
    serving_history.append_event(
        SpaceEvent(time, kind, space.name, version, former[-1] if former else None, by, reason), settings
    )


def tag_serving_times(version: int, name: str, value: str, settings: Settings) -> None:
    """A version that was deleted in MLflow takes no tag any more."""
    client = connect(settings)
    with mlflow_errors():
        if client.search_model_versions(f"name = '{settings.model_name}' AND version_number = {version}"):
            client.set_model_version_tag(settings.model_name, str(version), name, value)
