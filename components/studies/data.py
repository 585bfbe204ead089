"""Prepares the data of a study's trials: catalogue and graph, once for each setting, and kept."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.settings import Settings
from components.tombstones import source_catalogue
from model.config import Config
from model.data import preparation
from model.data.catalogue import Catalogue
from model.extraction.extract import extract
from model.files import file_lock
from model.graph import neighbourhood


@dataclass(frozen=True)
class StudyData:
    """`folder` keeps prepared-<digest>/, neighbours-<digest>/ and extraction-<digest>.json, as the steps of a run leave
    them."""

    source: Catalogue
    digest: str  # of the source
    folder: Path

    @classmethod
    def of(cls, catalogue: Path, folder: Path) -> "StudyData":
        """Raises CatalogueError where there is no readable catalogue."""
        source = source_catalogue(catalogue.absolute(), Settings())
        gone = sorted(source.forgotten.times)  # the same catalogue without more Pins is other data
        digest = digest_of(source.digest(), gone) if gone else source.digest()
        return cls(source, digest, folder.absolute())

    def prepared(self, config: Config) -> Path:
        path = self.folder / f"prepared-{self._key(config.prepare, config.vision.image_size)}"
        with file_lock(self.folder / ".lock", wait=True):
            if not path.is_dir():
                preparation.prepare(self.source, path, config.prepare, image_size=config.vision.image_size)
        return path

    def neighbours(self, config: Config) -> Path:
        key = self._key(config.prepare, config.split, config.graph, config.seed)
        path, prepared = self.folder / f"neighbours-{key}", self.prepared(config)
        with file_lock(self.folder / ".lock", wait=True):
            if not path.is_dir():
                neighbourhood.build(prepared, path, config)
        return path

    def extracted(self, config: Config, store: Path) -> Path:
        """extraction.json of the frozen towers; `store` keeps what they give (model/extraction/records.py)."""
        key = self._key(config.prepare, config.vision, config.text)
        path, prepared = self.folder / f"extraction-{key}.json", self.prepared(config)
        with file_lock(self.folder / ".lock", wait=True):
            if not path.is_file():
                extract(prepared, store, path, config)
        return path

    def _key(self, *settings: Any) -> str:
        return digest_of(self.digest, *(s if isinstance(s, int) else asdict(s) for s in settings))


def digest_of(*parts: Any) -> str:
    """Names the JSON of the parts by twelve hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
