"""Rollback: the space that served before serves again, at once. Its rows are still online, so nothing is embedded or
built."""

from components.registry.candidates import set_champion
from components.settings import Settings
from components.spaces import serving_history
from components.spaces.feature_store import feast_errors, open_store
from components.spaces.materialize import read_back
from components.spaces.published_spaces import published_space
from components.spaces.serving_history import ROLLED_BACK, SpaceEvent
from components.spaces.switch import ROLLBACK, settle, switch
from components.spaces.told_spaces import tell_spaces
from model.errors import StoreError

SAMPLE = 500  # Pins read back before the switch


def rollback(settings: Settings) -> SpaceEvent:
    """Moves the alias `champion` back to the version before, and `pin_ranking` with it; returns what it did.

    It does not wait for a running sync, which sees that the alias has moved and switches nothing.

    Raises:
        StoreError: nothing served before, its space was retired or is no longer whole, or a store does not answer.
    """
    with feast_errors(settings):
        store, known = open_store(settings), len(serving_history.read_events(settings))
        served = settle(store, settings)
        if (
            len(serving_history.read_events(settings)) > known
            and serving_history.read_events(settings)[-1].event == ROLLED_BACK
        ):
            tell_spaces(store, settings)
            return serving_history.read_events(settings)[-1]  # a rollback that was killed right after the switch
        if len(served) < 2:
            raise StoreError("Nothing served before what serves now; `pinclip promote VERSION` chooses a version.")
        space = published_space(served[-2], settings)
        if space is None:
            raise StoreError(
                f"The space {served[-2]} that served before was retired; choose another: `pinclip promote VERSION`."
            )
        read_back(store, space, SAMPLE)

        def set_alias() -> bool:
            set_champion(space.manifest.model_version, settings)
            return True

        switch(store, space, settings, ROLLBACK, set_alias)
        tell_spaces(store, settings)
    return serving_history.read_events(settings)[-1]
