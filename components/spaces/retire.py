"""Removes a space: its services, views, rows on disk and online, its index and everything kept beside it."""

from datetime import UTC, datetime

from components.settings import Settings
from components.spaces import serving_history
from components.spaces.feature_store import delete, feast_errors, open_store, writing
from components.spaces.materialize import LOCK
from components.spaces.paths import state_folder
from components.spaces.published_spaces import published_space
from components.spaces.serving_history import RETIRED, SpaceEvent
from components.spaces.switch import settle
from components.spaces.told_spaces import tell_spaces
from model.errors import StoreError
from model.files import file_lock, remove


def retire(name: str, settings: Settings, even_rollback: bool = False) -> None:
    """Removes a space that nobody reads any more. If it is killed, the next call finishes the removal.

    Raises:
        StoreError: there is no such space, `pin_ranking` stands on it, or `pinclip rollback` would go back to it and
            `even_rollback` is not given.
    """
    with feast_errors(settings), file_lock(settings.home / LOCK, wait=True):
        space = published_space(name, settings)
        if space is None:
            raise StoreError(f"There is no space {name}; `feast feature-services list` names those there are.")
        store = open_store(settings)
        served = settle(store, settings)
        if served[-1:] == [name]:
            raise StoreError(f"`pin_ranking` serves the space {name}; promote another version before it goes.")
        if served[-2:-1] == [name] and not even_rollback:
            raise StoreError(f"`pinclip rollback` would go back to {name}; say --even-rollback if it may go.")
        delete(store, [service.name for service in space.services])  # from now on readers are refused
        delete(store, space.names)
        for path in (*map(space.rows, space.stored), state_folder(name, settings), space.manifest.semantic_ids_file):
            remove(path)
        with writing(store):
            time, version = datetime.now(UTC).isoformat(timespec="seconds"), space.manifest.model_version
            serving_history.append_event(SpaceEvent(time, RETIRED, name, version, None, "retire"), settings)
        remove(space.manifest.file)
        tell_spaces(store, settings)
