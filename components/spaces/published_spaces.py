"""The published spaces of a home, as publishing left them on disk."""

from typing import TYPE_CHECKING

from components.settings import Settings
from components.spaces.feature_store import feast_errors
from model.errors import StoreError
from serving.space import SpaceManifest, manifest_file, published_manifests

if TYPE_CHECKING:
    from feature_repo.ranking_services import SpaceObjects


def published_spaces(settings: Settings) -> tuple[dict[str, SpaceManifest], str]:
    """(the manifest of each space that can be read, oldest first; the one that serves: where `pin_ranking` stands, else
    the newest).

    Raises:
        StoreError: nothing is published, or a manifest is damaged.
    """
    home = settings.home / "feast"
    manifests = published_manifests(home)
    if not manifests:
        raise StoreError(f"No space is published in {home}; run the pipeline first, or set PINCLIP_HOME.")
    return {manifest.name: manifest for manifest in manifests}, serving_space(settings) or manifests[-1].name


def published_space(name: str, settings: Settings) -> "SpaceObjects | None":
    """Feast's objects of a space whose publication is complete; None where there is no such space.

    Raises:
        StoreError: its manifest is damaged.
    """
    from feature_repo.ranking_services import SpaceObjects

    home = settings.home / "feast"
    return SpaceObjects(SpaceManifest.read(home, name)) if manifest_file(home, name).is_file() else None


def serving_space(settings: Settings) -> str | None:
    """The space that `pin_ranking` stands on, as the registry says now; None before the first."""
    from feature_repo.feature_files import serving_space

    with feast_errors(settings):
        return serving_space(settings.home / "feast")
