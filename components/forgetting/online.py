"""The online store: the rows of the Pins in every view that is keyed by pin_id."""

from components.forgetting.pins import Pins
from components.forgetting.place import Counts
from components.settings import Settings
from components.spaces.feature_store import feast_errors, open_store, quiet
from serving.online import answering, erase, held
from serving.online.feast_bytes import entity_keys

KEY, AT_ONCE = "pin_id", 500  # entities of one request


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
            views = [view.name for view in store.list_feature_views() if KEY in view.join_keys]
            keys = entity_keys(KEY, pins.ids)
            counts = dict.fromkeys(views, 0)
            with answering(store):
                for view in views:
                    for start in range(0, len(keys), AT_ONCE):
                        do = erase if really else held
                        counts[view] += do(store, [view], keys[start : start + AT_ONCE])
        return {f"{store.config.online_store.type}: {view}": count for view, count in counts.items()}
