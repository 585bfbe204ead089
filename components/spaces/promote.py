"""Sync: the space of the version that MLflow calls the champion begins to serve.

    champion -> model -> missing vectors -> online -> statistics, tastes -> index -> checks -> switch -> event

Every step may be done again, and finds what an earlier call has done already. Readers of `pin_ranking` get the former
space until the switch, which is one write, and the new one after it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from components.registry.candidates import RegisteredCandidate, candidate, champion, set_champion
from components.registry.versions import CHAMPION, version_of
from components.retries import with_retries
from components.settings import Settings
from components.spaces.config import PromotionConfig
from components.spaces.embed_missing import embed_all, embed_missing, kept_model, save_history
from components.spaces.feature_store import apply_objects, feast_errors, open_store
from components.spaces.index import bring_index_up
from components.spaces.materialize import LOCK, Progress, materialize
from components.spaces.paths import sync_lock
from components.spaces.publish import bring_up
from components.spaces.published_spaces import published_space, serving_space
from components.spaces.switch import PROMOTE, SYNC, settle, switch
from components.spaces.told_spaces import tell_spaces
from components.tombstones import source_catalogue
from model.config.folder import read_config
from model.errors import RunError
from model.files import file_lock, remove, write_json

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_repo.ranking_services import SpaceObjects


@dataclass(frozen=True)
class Synced:
    version: int
    space: str
    former: str | None  # what served before; None: nothing, or the same
    added: int  # Pins that had no vector
    changed: int  # rows of statistics and tastes that were new
    checked: int  # vectors read back
    index_recall: float

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


@with_retries
def sync(config: PromotionConfig, settings: Settings, report: Progress = lambda fraction, message: None) -> Synced:
    """Brings the champion's space up and lets it serve. Where it does already, what is new in its catalogue is added.

    Raises:
        RunError: another sync is at work.
        StoreError: there is no champion, it failed its gate, or MLflow or a store does not answer.
        VectorIndexError: the index does not find enough.
    """
    with _alone(settings), feast_errors(settings):
        while True:
            chosen = candidate(champion(settings), settings)
            still = partial(_is_champion, chosen.version, settings)
            done = _serve(chosen, config, settings, report, SYNC, still)
            if done:
                return done
            report(0.0, "another version has become the champion meanwhile")


def promote(
    version: int,
    reason: str,
    config: PromotionConfig,
    settings: Settings,
    report: Progress = lambda fraction, message: None,
) -> Synced:
    """As sync(), for a version that becomes the champion at the moment of the switch, when its space is ready.

    Raises:
        As sync().
    """
    with _alone(settings), feast_errors(settings):
        chosen = candidate(version, settings, reason)

        def set_alias() -> bool:
            set_champion(version, settings)
            return True

        done = _serve(chosen, config, settings, report, PROMOTE, set_alias, reason)
        assert done is not None
        return done


def _serve(
    chosen: RegisteredCandidate,
    config: PromotionConfig,
    settings: Settings,
    report: Progress,
    by: str,
    still: Callable[[], bool],
    reason: str = "",
) -> Synced | None:
    """None where `still` says at the switch that the version is no longer the one to serve."""
    report(0.0, f"version {chosen.version}")
    store = open_store(settings)
    settle(store, settings)
    with file_lock(settings.home / LOCK, wait=True):
        space, added, changed, checked = _warmed(store, chosen, settings, report)
        report(0.8, "index")
        recall = bring_index_up(space.manifest, config, settings)
        report(0.9, f"the index finds {recall:.3f} of the nearest Pins")
    former = serving_space(settings)
    if not switch(store, space, settings, by, still, reason):
        return None
    tell_spaces(store, settings)
    report(1.0, f"{space.name} serves")
    before = None if former == space.name else former
    return Synced(chosen.version, space.name, before, added, changed, checked, recall)


def _warmed(
    store: "FeatureStore", chosen: RegisteredCandidate, settings: Settings, report: Progress
) -> "tuple[SpaceObjects, int, int, int]":
    """(the space, Pins added, rows changed, vectors read back)"""
    registration, work = chosen.registration, settings.home / "sync.work"
    space = published_space(registration.space, settings)
    path = Path((space.manifest.lineage if space else chosen.lineage).get("catalogue", ""))
    remove(work)  # of a sync that was killed
    try:
        if space is None:
            model = kept_model(registration.space, registration.uri, settings)
            folders, config = embed_all(source_catalogue(path, settings), model, work), read_config(model).prepare
            space, changed, checked = bring_up(store, *folders, registration, chosen.lineage, settings, report, config)
            return space, space.manifest.pins, changed, checked
        added, history = 0, None
        if (path / "pins").is_dir():
            source = source_catalogue(path, settings)
            model = kept_model(space.name, registration.uri, settings)
            added = embed_missing(space.manifest, source, model, work)
            history = save_history(space.manifest, source, read_config(model))
        here = f"{added} Pins had no vector" if history else f"the catalogue {path} is not here, so no Pin was added"
        report(0.2, here)
        changed, checked = materialize(store, space, history, report)
        apply_objects(store, space.services)  # a publication may have been killed right before
        return space, added, changed, checked
    finally:
        remove(work)


def _is_champion(version: int, settings: Settings) -> bool:
    return version_of(CHAMPION, settings) == version


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    with file_lock(sync_lock(settings)) as is_alone:
        if not is_alone:
            raise RunError(f"Another sync is at work on {settings.home}; let it end, then call `pinclip sync` again.")
        yield
