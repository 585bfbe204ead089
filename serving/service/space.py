"""One embedding space of the service: stores batches of new Pins and searches them.

    encoder -> quantize -> index: which are newer? -> journal, pending -> online store -> journal -> index -> answer

Once a request is answered, its Pins are in the online store and in the index, even if the service is killed afterwards.
What is refused is nowhere: whichever of these fails, those before it are taken back. What a kill interrupts was neither
answered nor refused: it is in the journal and so in all, or else the next service takes it out of the online store.

Shape legend: N Pins · S image side · E vector dimension · Q queries
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

import numpy as np

from model.data.forgotten import Forgotten
from model.embedding.affine import Affine
from model.errors import ModelError, StoreError, VectorIndexError
from model.files import file_lock
from serving.encoder import Encoder, open_encoder
from serving.encoder.inputs import PinTexts
from serving.index import IndexConfig, PinIndex
from serving.rows import VectorRows
from serving.service.config import SpaceFiles
from serving.service.forgotten import Tombstones
from serving.service.journal import Journal
from serving.service.lost import LostParts
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
        lost: LostParts,
    ) -> None:
        self.name, self.encoder, self.index, self.online = name, encoder, index, online
        self.files, self.metrics = files, metrics
        self.journal = Journal(files.state / "journal", _rows_folder(files), index.affine, lost)
        self.tombstones = Tombstones(forgotten_file(files.feast_home))
        self._writing, self._saving = Lock(), Lock()
        self._owed: set[str] = set()  # refused Pins that the online store may have, for it went away
        self.follow()
        lost.strict = False  # what is damaged later must not keep this service from all that is whole

    @staticmethod
    def open(files: SpaceFiles, metrics: ServiceMetrics, threads: int, without_damaged: bool = False) -> "PinSpace":
        """
        without_damaged: go on without shards and lines of journals that cannot be read; the log says which.

        Raises:
            ModelError: the model folder cannot be used.
            StoreError: there is no feature store, or the space was not published.
            VectorIndexError: a shard or a journal is damaged, or the shards and the manifest of the space disagree.
        """
        lost = LostParts(files.name, metrics, strict=not without_damaged)
        online, index = Feast(files.feast_home, files.name), open_index(files, lost)
        encoder = open_encoder(files.model_folder, files.state / "encoder", threads)
        return PinSpace(files.name, encoder, index, online, files, metrics, lost)

    def accept(self, pins: Sequence[NewPin]) -> list[Accepted]:
        """Encodes the Pins and stores them; they can be read when it returns. Where an id comes twice, the latest is
        stored; a forgotten Pin is not.

        Raises:
            StoreError: the online store does not answer, or the journal's disk is full; nothing was stored.
            ModelError: the model gives no vectors of this space; nothing was stored.
        """
        with self.metrics.stage(self.name, "encode"):
            codes_NE = self.affine.quantize(self.encoded([pin.pixels_SS3 for pin in pins], [pin.texts for pin in pins]))
        self.forget()
        with self._writing:
            stored = self._store([pin.pin_id for pin in pins], codes_NE, _microseconds(pins))
        vectors_NE = self.affine.vectors(codes_NE)
        return [Accepted(vector, place in stored) for place, vector in enumerate(vectors_NE)]

    def follow(self) -> None:
        """Takes into the index what other services on the folder have accepted, and what one that has ended had
        accepted; and out of the online store what was refused or interrupted."""
        self.forget()
        with self._writing:
            news = _without(self.journal.news(), self.tombstones.now)
            if len(news):
                vectors_NE, missing_N = self.index.vectors(news.ids.to_pylist())
                differ_N = (vectors_NE != self.affine.vectors(news.codes_NE)).any(axis=1)
                new = news.take(np.flatnonzero(missing_N | differ_N))
                self.index.upsert(new.ids.to_pylist(), new.codes_NE, _as_datetimes(new.times_N))
            self.journal.settle(self._take_back)
            if self._owed and self._take_back(list(self._owed)):
                self._owed.clear()

    def _take_back(self, ids: list[str]) -> bool:
        """The online store then holds of these what the index holds; False where it does not answer."""
        return self.online.take_back(ids, self.index.stored(ids), self.affine)

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
            if is_alone and (changed or self.index.unsaved or self.journal.settled()):
                with self._writing:
                    closed = self.journal.turn()
                self.index.save(self.files.state / "index")
                for file in closed:
                    self.journal.become_shard(file)

    @property
    def affine(self) -> Affine:
        return self.index.affine

    def encoded(self, pixels: Sequence[np.ndarray | None], texts: Sequence[PinTexts]) -> np.ndarray:
        """float32 (N, E) of length 1; pixels are uint8 (S, S, 3), None where there is no image.

        Raises:
            ModelError: the model gives no vectors of this space.
        """
        size = self.encoder.image_size
        blank_SS3 = np.zeros((size, size, 3), dtype=np.uint8)
        pixels_NSS3 = np.stack([blank_SS3 if one is None else one for one in pixels])
        vectors_NE = self.encoder.pins(pixels_NSS3, np.array([one is not None for one in pixels]), texts)
        if vectors_NE.shape != (len(texts), self.affine.dim) or not np.isfinite(vectors_NE).all():
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
        older = self.index.newer(list(latest), _as_datetimes(times_N[places]))
        places = np.array([place for place in places.tolist() if ids[place] not in older], dtype=np.int64)
        if len(places):
            self._write([ids[place] for place in places], codes_NE[places], times_N[places])
        return set(places.tolist())

    def _write(self, ids: list[str], codes_NE: np.ndarray, times_N: np.ndarray) -> None:
        """Into all places or none."""
        packed_NB, before = self.affine.pack(codes_NE), self.index.stored(ids)
        try:
            with self.journal.entry(ids, packed_NB, times_N) as write_lines:
                try:
                    with self.metrics.stage(self.name, "push"):
                        self.online.push(ids, packed_NB, times_N)
                    write_lines()
                    with self.metrics.stage(self.name, "index"):
                        self.index.upsert(ids, codes_NE, _as_datetimes(times_N))
                except BaseException:
                    if not self.online.take_back(ids, before, self.affine):
                        self._owed.update(ids)
                    raise
        except OSError as error:
            raise StoreError(
                f"The journal in {self.journal.folder} cannot be written ({error.strerror}); see that its disk has "
                "room, then send the Pins again."
            ) from error


def _without(rows: VectorRows, forgotten: Forgotten) -> VectorRows:
    return rows.take(np.flatnonzero(~forgotten.mask(rows.ids).to_numpy(zero_copy_only=False))) if forgotten else rows


def open_index(files: SpaceFiles, lost: LostParts) -> PinIndex:
    """The last snapshot, or an index built from the published vectors."""
    folder = files.state / "index"
    try:
        return PinIndex.open(folder, files.name)
    except VectorIndexError as error:
        if folder.is_dir():
            logging.getLogger("ray.serve").warning("The index of %s is built anew: %s", files.name, error)
        space = SpaceManifest.read(files.feast_home, files.name)
        index = PinIndex.of_published(space, IndexConfig(), lambda damage: lost(str(damage)))
        index.save(folder)
        return index


def _rows_folder(files: SpaceFiles) -> Path:
    return rows_folder(files.feast_home, f"{PIN_EMBEDDING}{files.name}")


def _as_datetimes(times_N: np.ndarray) -> np.ndarray:
    return times_N.astype("datetime64[us]")


def _microseconds(pins: Sequence[NewPin]) -> np.ndarray:
    return np.array([(pin.time - EPOCH) // timedelta(microseconds=1) for pin in pins], dtype=np.int64)
