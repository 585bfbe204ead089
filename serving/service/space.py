"""One embedding space of the service: stores batches of new Pins and searches them.

    encoder -> quantize -> index (which knows what is newer) -> online store -> journal -> answer

Once a request is answered, its Pins are in the online store and in the index, even if the service is killed afterwards.

Shape legend: N Pins · S image side · E vector dimension · Q queries
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

import numpy as np

from model.data.forgotten import Forgotten
from model.embedding.affine import Affine
from model.errors import ModelError, VectorIndexError
from model.files import file_lock
from serving.encoder import Encoder, open_encoder
from serving.encoder.inputs import PinTexts
from serving.index import IndexConfig, PinIndex
from serving.rows import VectorRows
from serving.service.config import SpaceFiles
from serving.service.forgotten import Tombstones
from serving.service.journal import Journal
from serving.service.metrics import ServiceMetrics
from serving.service.push import Feast, OnlineStore
from serving.space import PIN_EMBEDDING, SpaceManifest, forgotten_file, rows_folder

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class NewPin:
    pin_id: str
    pixels_SS3: np.ndarray | None  # uint8; None: no image
    texts: PinTexts
    time: datetime  # when it became what it is; of two pushes of a Pin the later counts


@dataclass(frozen=True)
class Accepted:
    vector_E: np.ndarray  # float32 of length 1, as it is read from the online store
    stored: bool  # False: what is stored is newer, and stays


class PinSpace:
    def __init__(
        self,
        name: str,
        encoder: Encoder,
        index: PinIndex,
        online: OnlineStore,
        files: SpaceFiles,
        metrics: ServiceMetrics,
    ) -> None:
        self.name, self.encoder, self.index, self.online = name, encoder, index, online
        self.files, self.metrics = files, metrics
        self.journal = Journal(files.state / "journal", _rows_folder(files), index.affine)
        self.tombstones = Tombstones(forgotten_file(files.feast_home))
        self._writing, self._saving = Lock(), Lock()
        self.follow()

    @staticmethod
    def open(files: SpaceFiles, metrics: ServiceMetrics, threads: int) -> "PinSpace":
        """
        Raises:
            ModelError: the model folder cannot be used.
            StoreError: there is no feature store, or the space was not published.
            VectorIndexError: the shards and the manifest of the space disagree.
        """
        online, index = Feast(files.feast_home, files.name), open_index(files)
        encoder = open_encoder(files.model_folder, files.state / "encoder", threads)
        return PinSpace(files.name, encoder, index, online, files, metrics)

    def accept(self, pins: Sequence[NewPin]) -> list[Accepted]:
        """Encodes the Pins and stores them; they can be read when it returns. Where an id comes twice, the latest is
        stored; a forgotten Pin is not.

        Raises:
            StoreError: the online store does not answer; sending the same Pins again repairs that.
        """
        with self.metrics.stage(self.name, "encode"):
            codes_NE = self.affine.quantize(self._encoded(pins))
        self.forget()
        with self._writing:
            stored = self._store([pin.pin_id for pin in pins], codes_NE, _microseconds(pins))
        vectors_NE = self.affine.vectors(codes_NE)
        return [Accepted(vector, place in stored) for place, vector in enumerate(vectors_NE)]

    def follow(self) -> None:
        """Takes into the index what other services on the folder have accepted, and what one that has ended had
        accepted."""
        self.forget()
        with self._writing:
            news = _without(self.journal.news(), self.tombstones.now)
            if len(news):
                vectors_NE, missing_N = self.index.vectors(news.ids.to_pylist())
                differ_N = (vectors_NE != self.affine.vectors(news.codes_NE)).any(axis=1)
                new = news.take(np.flatnonzero(missing_N | differ_N))
                self.index.upsert(new.ids.to_pylist(), new.codes_NE, _as_datetimes(new.times_N))

    def forget(self) -> None:
        """Takes the Pins out that have a new tombstone: of the index in memory and on disk, and of the journal."""
        with self._writing:
            if not self.tombstones.moved():
                return
            self.journal.forgotten = forgotten = self.tombstones.now
        if self.index.forget([pin_id for pin_id in self.index.ids() if pin_id in forgotten]):
            self.save(changed=True)

    def save(self, changed: bool = False) -> None:
        """A snapshot of the index, if it has changed; the journal up to there becomes shards."""
        with self._saving, file_lock(self.files.state / "saving.lock", wait=changed) as is_alone:
            if is_alone and (changed or self.index.unsaved):
                with self._writing:
                    closed = self.journal.turn()
                self.index.save(self.files.state / "index")
                for file in closed:
                    self.journal.become_shard(file)

    @property
    def affine(self) -> Affine:
        return self.index.affine

    def _encoded(self, pins: Sequence[NewPin]) -> np.ndarray:
        size = self.encoder.image_size
        blank_SS3 = np.zeros((size, size, 3), dtype=np.uint8)
        pixels_NSS3 = np.stack([blank_SS3 if pin.pixels_SS3 is None else pin.pixels_SS3 for pin in pins])
        has_image_N = np.array([pin.pixels_SS3 is not None for pin in pins])
        vectors_NE = self.encoder.pins(pixels_NSS3, has_image_N, [pin.texts for pin in pins])
        if vectors_NE.shape != (len(pins), self.affine.dim) or not np.isfinite(vectors_NE).all():
            raise ModelError(f"The model in {self.files.model_folder} gives no vectors of this space; serve another.")
        return vectors_NE

    def _store(self, ids: list[str], codes_NE: np.ndarray, times_N: np.ndarray) -> set[int]:
        """The positions of the Pins that were stored."""
        latest: dict[str, int] = {}
        for place in np.argsort(times_N, kind="stable").tolist():
            if ids[place] not in self.tombstones.now:
                latest[ids[place]] = place
        if not latest:
            return set()
        places = np.array(list(latest.values()))
        with self.metrics.stage(self.name, "index"):
            older = set(self.index.upsert(list(latest), codes_NE[places], _as_datetimes(times_N[places])))
        places = np.array([place for place in places.tolist() if ids[place] not in older], dtype=np.int64)
        if len(places):
            rows = [ids[place] for place in places], self.affine.pack(codes_NE[places]), times_N[places]
            with self.metrics.stage(self.name, "push"):
                self.online.push(*rows)
            self.journal.append(*rows)
        return set(places.tolist())


def _without(rows: VectorRows, forgotten: Forgotten) -> VectorRows:
    return rows.take(np.flatnonzero(~forgotten.mask(rows.ids).to_numpy(zero_copy_only=False))) if forgotten else rows


def open_index(files: SpaceFiles) -> PinIndex:
    """The last snapshot, or an index built from the published vectors."""
    folder = files.state / "index"
    try:
        return PinIndex.open(folder, files.name)
    except VectorIndexError:
        index = PinIndex.of_published(SpaceManifest.read(files.feast_home, files.name), IndexConfig())
        index.save(folder)
        return index


def _rows_folder(files: SpaceFiles) -> Path:
    return rows_folder(files.feast_home, f"{PIN_EMBEDDING}{files.name}")


def _as_datetimes(times_N: np.ndarray) -> np.ndarray:
    return times_N.astype("datetime64[us]")


def _microseconds(pins: Sequence[NewPin]) -> np.ndarray:
    return np.array([(pin.time - EPOCH) // timedelta(microseconds=1) for pin in pins], dtype=np.int64)
