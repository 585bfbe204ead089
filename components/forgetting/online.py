"""The online store: the rows of the Pins in every view that is keyed by pin_id, and of the users by user_id."""

from typing import TYPE_CHECKING

from components.forgetting.pins import Pins
from components.forgetting.place import Counts
from components.settings import Settings
from components.spaces.feature_store import feast_errors, open_store, quiet
from serving.online import answering, erase, held
from serving.online.feast_bytes import entity_keys

if TYPE_CHECKING:
    from feast import FeatureStore

AT_ONCE = 500  # entities of one request


class Online:
    name = "online store"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def find(self, pins: Pins) -> Counts:
        return self._each(pins, False)

    def erase(self, pins: Pins) -> Counts:
        """
        Raises:
            StoreError: the store does not answer, or removes no single rows.
        """
        return self._each(pins, True)

    def _each(self, pins: Pins, really: bool) -> Counts:
        """By view."""
        if not (self.settings.home / "feast" / "registry.db").is_file():
            return {}
        with feast_errors(self.settings), quiet():
            store = open_store(self.settings)
            counts: dict[str, int] = {}
            with answering(store):
                for key, ids in (("pin_id", pins.ids), ("user_id", pins.users)):
                    for view in (view.name for view in store.list_feature_views() if key in view.join_keys and ids):
                        counts[view] = _rows(store, view, entity_keys(key, ids), really)
        return {f"{store.config.online_store.type}: {view}": count for view, count in counts.items()}


def _rows(store: "FeatureStore", view: str, keys: list[bytes], really: bool) -> int:
    do = erase if really else held
    return sum(do(store, [view], keys[start : start + AT_ONCE]) for start in range(0, len(keys), AT_ONCE))
