"""Builds all objects of the feature store: those of each published space, and `pin_ranking`, which follows the
champion.

Publishing and `feast apply` both build their objects here.
"""

from pathlib import Path
from typing import Any

from feast import FeatureService, FeatureView, Project

from feature_repo.feature_files import OWNER, RANKING, serving_space
from feature_repo.pin_features import embedding_view, pin, semantic_id_view, stats_view
from feature_repo.request_features import age_view, similarity_view
from feature_repo.user_features import taste_view, user
from serving.space import PIN_RANKING, SpaceManifest, published_manifests, rows_folder

SEMANTIC_IDS = "pin_semantic_ids_"  # and the name of the space: a service

project = Project(
    name="pinclip",  # as in feature_store.yaml
    description="Pin vectors and what goes with them, as features for ranking.",
    owner=OWNER,
    tags={"entities": "pin, user"},
)


class SpaceObjects:
    """Feast's objects of one embedding space, from its manifest."""

    def __init__(self, manifest: SpaceManifest) -> None:
        self.name, self.manifest = manifest.name, manifest
        self.embedding, self.taste = embedding_view(manifest), taste_view(manifest)
        self.semantic_id = semantic_id_view(manifest)
        self.similarity = similarity_view(manifest, self.embedding, self.taste)
        self.stats = stats_view(manifest.feast_home)
        self.age = age_view(self.stats)

    def rows(self, view: FeatureView) -> Path:
        """The folder of a view's rows."""
        return rows_folder(self.manifest.feast_home, view.name)

    @property
    def views(self) -> list[Any]:
        """Views that belong to the space alone; the on-demand view, which reads the others, comes last."""
        return [*self.stored, self.similarity]

    @property
    def stored(self) -> list[FeatureView]:
        """Those whose rows lie on disk."""
        return [self.embedding, self.taste, *([self.semantic_id] if self.semantic_id else [])]

    @property
    def names(self) -> list[str]:
        """The names of everything in the registry that belongs to the space alone."""
        sources = [s for view in self.stored for s in (view.stream_source, view.batch_source)]
        return [one.name for one in (*self.services, *self.views, *sources)]

    @property
    def shared(self) -> list[Any]:
        return [project, pin, user, self.stats, self.age]

    @property
    def services(self) -> list[FeatureService]:
        """Those that live as long as the space. Semantic IDs are a service of their own: beside the vectors they gain a
        ranker little, and reading them takes a third more time."""
        if self.semantic_id is None:
            return [self.service()]
        description = f"Semantic IDs of the space {self.name}."
        return [self.service(), self._of(f"{SEMANTIC_IDS}{self.name}", [self.semantic_id], description)]

    def service(self) -> FeatureService:
        """For a ranker that stays with one space until it is retired."""
        return self._service(
            f"{PIN_RANKING}{self.name}", f"Features of the space {self.name}, unchanged while the space lives."
        )

    def moving_service(self) -> FeatureService:
        """For a reader that follows the champion; its tag `space` says which space that is."""
        description = "Features of the space that serves; read the tag `space` before you mix vectors."
        return self._service(RANKING, description)

    def _service(self, name: str, description: str) -> FeatureService:
        features = [self.embedding, self.stats, self.taste, self.similarity, self.age]
        return self._of(name, features, description)

    def _of(self, name: str, features: list[Any], description: str) -> FeatureService:
        return FeatureService(
            name=name, features=features, description=description, owner=OWNER, tags={"space": self.name}
        )


def feast_objects(feast_home: Path) -> list[Any]:
    """Every object that the files of a Feast home describe."""
    spaces = [SpaceObjects(manifest) for manifest in published_manifests(feast_home)]
    serving = serving_space(feast_home)
    objects = [*spaces[0].shared] if spaces else [project, pin, user]
    for space in spaces:
        objects += [*space.views, *space.services]
        objects += [space.moving_service()] if space.name == serving else []
    return objects
