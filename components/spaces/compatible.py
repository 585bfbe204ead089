"""The published version that a new one stays comparable with (train.compatible_with): named, checked, its vectors given
to the training.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from components.registry.candidates import champion
from components.registry.versions import CHAMPION
from components.settings import Settings
from model.config import Config
from model.config.overrides import override
from model.errors import StoreError
from model.files import remove
from model.training.anchors import check_dimension, write_anchors
from serving.space import SpaceManifest, manifest_file

C = TypeVar("C", bound=Config)


def named(config: C, settings: Settings) -> C:
    """train.compatible_with as the number of a version; `champion` is the one that holds the alias now.

    Raises:
        StoreError: there is no champion, the version's space is not published, or MLflow does not answer.
        TrainingError: its vectors are of another dimension.
    """
    asked = config.train.compatible_with
    if not asked:
        return config
    version = champion(settings) if asked == CHAMPION else int(asked)
    check_dimension(_published(version, settings).affine.dim, config.fusion.dim)
    return override(config, {"train": {"compatible_with": str(version)}})


@contextmanager
def anchors(config: Config, settings: Settings, model: Path) -> Iterator[Path | None]:
    """A file beside the folder `model` with the vectors of that version's space (model/training/anchors.py); None where
    nothing is asked for.

    Raises:
        As named().
    """
    if not config.train.compatible_with:
        yield None
        return
    space, file = _published(int(config.train.compatible_with), settings), model.with_name(f".{model.name}.anchors")
    rows = space.newest()
    try:
        write_anchors(file, rows.ids, space.affine.vectors(rows.codes_NE))
        yield file
    finally:
        remove(file)


def _published(version: int, settings: Settings) -> SpaceManifest:
    home, name = settings.home / "feast", f"v{version}"
    if not manifest_file(home, name).is_file():
        raise StoreError(
            f"train.compatible_with asks for version {version}, but its space {name} is retired or was never published "
            f"in {home}; name one that `pinclip history` shows, or leave the key out."
        )
    return SpaceManifest.read(home, name)
