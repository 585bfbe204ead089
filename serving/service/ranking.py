"""Follows the space that the FeatureService `pin_ranking` serves; requests that name no space are answered from it."""

from pathlib import Path

from model.errors import StoreError
from serving.features import Features


class Ranking:
    def __init__(self, feast_home: Path) -> None:
        self.registry = feast_home / "registry.db"
        self.features = Features.of(feast_home / "feature_store.yaml")
        self._seen = 0

    def moved_to(self) -> str | None:
        """The space, where the registry has changed since the last call; else None."""
        changed = self.registry.stat().st_mtime_ns if self.registry.is_file() else self._seen
        if changed == self._seen:
            return None
        self.features.store.refresh_registry()
        try:
            space = self.features.serving_space()
        except StoreError:  # the registry was lost, and a sync has not fixed it yet
            space = None
        self._seen = changed  # last: after an error the next call tries again
        return space
