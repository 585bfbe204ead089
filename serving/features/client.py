"""The client that rankers use: reads many Pin vectors at once from Feast's online store, as floats.

    features = Features.of(Path(".pinclip/feast/feature_store.yaml"))
    vectors, missing = features.pin_vectors(["p1", "p2"], space="v7")     # float32 (2, 256), bool (2,)

Feast's own read makes a message of every value and a Python list of every vector. Here the bytes of all Pins come by
one pipeline (Redis) or one query (SQLite), keyed as Feast keys them, and become one array at once.

Shape legend: N Pins asked for · F Pins found · E vector dimension · B bytes of a stored vector
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.embedding.affine import Affine
from model.errors import StoreError
from serving.feast_import import import_feast
from serving.online import answering, reader
from serving.online.feast_bytes import bytes_header, entity_keys
from serving.space import PIN_EMBEDDING, PIN_RANKING

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

AT_ONCE = 10_000  # Pins of one query or pipeline
REMEMBERED = 1.0  # seconds; Feast takes milliseconds to make a view of its cached registry


class Features:
    """A client of one feature store; it keeps its connections."""

    def __init__(self, store: "FeatureStore") -> None:
        self.store = store
        self.malformed = 0  # stored values met so far that are no vector of their space
        self._known: dict[str, tuple[float, Affine]] = {}  # by space, until when
        version = store.config.entity_key_serialization_version
        if version != 3:
            raise StoreError(
                f"Entity keys of version {version} cannot be read; apply the feature store with version 3."
            )

    @staticmethod
    def of(configuration: Path) -> "Features":
        """The store of a feature_store.yaml, as publishing writes it into <home>/feast."""
        import_feast()
        from feast import FeatureStore

        if not configuration.is_file():
            raise StoreError(
                f"There is no feature store at {configuration}; run the pipeline first, or set PINCLIP_HOME."
            )
        return Features(FeatureStore(fs_yaml_file=configuration))

    def pin_vectors(self, pin_ids: Sequence[str], space: str) -> tuple[np.ndarray, np.ndarray]:
        """Vectors float32 (N, E) of length 1 in the order asked, and where there is none, bool (N,): zeros there.

        An id that is unknown or was never embedded is missing; so is one whose stored value is no vector of the space,
        which `malformed` counts: anybody may push to a feature store. One asked for twice is answered twice. All
        vectors of a call are of the one space.

        Raises:
            StoreError: the space is retired or was never published, `pin_ids` is a text, or the store does not answer.
        """
        if isinstance(pin_ids, str):
            raise StoreError("Give the ids of Pins in a list; a text alone would be read letter by letter.")
        affine = self._affine(space)
        try:
            values = self._read(f"{PIN_EMBEDDING}{space}", entity_keys("pin_id", pin_ids))
        except StoreError:
            self._refuse_retired(space)
            raise
        if not any(values):
            self._refuse_retired(space)
        packed_FB, missing = _packed(values, affine.bytes_per_pin)
        self.malformed += int(missing.sum()) - values.count(None)
        vectors = np.zeros((len(values), affine.dim), dtype=np.float32)
        vectors[~missing] = affine.vectors(affine.unpack(packed_FB))
        return vectors, missing

    def comparable(self, space: str, other: str) -> bool:
        """Whether vectors of the two may be compared: they are one space, or one was made to be compatible with the
        other.

        Raises:
            StoreError: one is retired or was never published, or the store does not answer.
        """
        tags = {name: self._view(name).tags for name in (space, other)}
        return (
            space == other or tags[space].get("compatible_with") == other or tags[other].get("compatible_with") == space
        )

    def serving_space(self) -> str:
        """The space that the FeatureService `pin_ranking` serves."""
        from feast.errors import FeatureServiceNotFoundException

        try:
            return str(self.store.registry.get_feature_service("pin_ranking", self.store.project, True).tags["space"])
        except FeatureServiceNotFoundException:
            raise StoreError("No space is published; run the pipeline first.") from None

    def _affine(self, space: str) -> Affine:
        """How the space's bytes are read; the registry is as old as `cache_ttl_seconds` at most."""
        until, affine = self._known.get(space, (0.0, None))
        if affine is None or time.monotonic() > until:
            affine = Affine.of(self._view(space).tags)
            self._known[space] = (time.monotonic() + REMEMBERED, affine)
        return affine

    def _view(self, space: str) -> "FeatureView":
        from feast.errors import FeastObjectNotFoundException

        registry, project = self.store.registry, self.store.project
        try:
            registry.get_feature_service(f"{PIN_RANKING}{space}", project, True)  # exists once all vectors can be read
            return registry.get_feature_view(f"{PIN_EMBEDDING}{space}", project, True)
        except FeastObjectNotFoundException:
            there = sorted({service.tags["space"] for service in registry.list_feature_services(project, True)})
            raise StoreError(
                f"The space {space} is retired or was never published; published are: {', '.join(there) or 'none'}."
            ) from None

    def _refuse_retired(self, space: str) -> None:
        """Reads the registry anew where no vector was found, because the cached one may still hold a retired space."""
        self.store.refresh_registry()
        self._known.pop(space, None)
        self._view(space)

    def _read(self, view: str, keys: list[bytes]) -> list[bytes | None]:
        with answering(self.store):
            read = reader(self.store, view)
            return [value for i in range(0, len(keys), AT_ONCE) for value in read(keys[i : i + AT_ONCE])]


def _packed(values: Sequence[bytes | None], size: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (F, B) of the Pins found, and who is missing, bool (N,).

    A stored value is a header, the same for all, and the vector; where one is anything else, they are looked at singly.
    """
    header = bytes_header(size)
    missing = np.array([value is None for value in values], dtype=bool)
    found = [value for value in values if value is not None]
    joined = np.frombuffer(b"".join(found), np.uint8)
    if len(joined) == len(found) * (len(header) + size):
        rows = joined.reshape(len(found), len(header) + size)
        if (rows[:, : len(header)] == np.frombuffer(header, np.uint8)).all():
            return rows[:, len(header) :], missing
    whole = [
        value if value and len(value) == len(header) + size and value.startswith(header) else None for value in values
    ]
    return _packed(whole, size)
