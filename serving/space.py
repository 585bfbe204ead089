"""An embedding space as publishing leaves it: one manifest, read and written here alone, and its vectors beside it.

    <feast_home>/offline/pin_embedding_v7.json        the manifest, written last: with it the space is published
    <feast_home>/offline/pin_embedding_v7/*.parquet   its vectors (serving/rows.py), of the publication and pushed since
    <feast_home>/offline/pin_semantic_id_v7.safetensors    the codebook of its semantic IDs; none in a very small space

Shape legend: N rows · E vector dimension
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from model.embedding.affine import Affine
from model.errors import StoreError, VectorIndexError
from model.files import write_json
from serving.rows import VectorRows, joined, newest_each, read_ids, read_rows

# The names of a space's objects in Feast: one of these and the name of the space.
PIN_EMBEDDING, USER_TASTE, PIN_RANKING = "pin_embedding_", "user_taste_", "pin_ranking_"
PIN_SEMANTIC_ID = "pin_semantic_id_"


def rows_folder(feast_home: Path, view: str) -> Path:
    """Where the rows of a feature view lie."""
    return feast_home / "offline" / view


def manifest_file(feast_home: Path, name: str) -> Path:
    return feast_home / "offline" / f"{PIN_EMBEDDING}{name}.json"


def semantic_ids_file(feast_home: Path, name: str) -> Path:
    """The codebook of a space's semantic IDs; a very small space has none."""
    return feast_home / "offline" / f"{PIN_SEMANTIC_ID}{name}.safetensors"


def forgotten_file(feast_home: Path) -> Path:
    """The tombstones of all spaces (model/data/forgotten.py), beside Feast's folder: who removes that keeps them."""
    return feast_home.parent / "forgotten.jsonl"


@dataclass(frozen=True)
class SpaceManifest:
    """Everything that a reader must know about a space."""

    feast_home: Path
    name: str
    affine: Affine
    pins: int  # of the publication; what was pushed since comes on top
    sha256: str  # of the quantized vectors
    created: datetime  # of the model's version; published vectors are known from then on
    model: str  # MLflow's address of the version
    model_version: int
    mlflow_run: str
    lineage: Mapping[str, str]  # catalogue, catalogue_digest, git_rev, compatible_with, …: what is known of them

    @staticmethod
    def read(feast_home: Path, name: str) -> "SpaceManifest":
        """
        Raises:
            StoreError: the space is not published, or its manifest is damaged.
        """
        file = manifest_file(feast_home, name)
        try:
            fields = json.loads(file.read_text(encoding="utf-8"))
            own = {key: fields[key] for key in ("pins", "sha256", "model", "model_version", "mlflow_run")}
            created, affine = datetime.fromisoformat(fields["created"]), Affine.of(fields)
            bare = SpaceManifest(feast_home, fields["space"], affine, created=created, lineage={}, **own)
            return replace(bare, lineage={key: fields[key] for key in fields.keys() - bare.fields.keys()})
        except FileNotFoundError:
            raise StoreError(f"There is no {file}, so the space was not published; run the pipeline first.") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"The manifest {file} is damaged ({error!r}); remove it and publish again.") from None

    def write(self) -> None:
        write_json(self.file, self.fields)

    @property
    def fields(self) -> dict[str, Any]:
        """The manifest as it is written, and as tags of the space's feature view: strings and numbers only."""
        return {
            "space": self.name,
            **asdict(self.affine),
            "pins": self.pins,
            "sha256": self.sha256,
            "created": self.created.isoformat(),
            "model": self.model,
            "model_version": self.model_version,
            "mlflow_run": self.mlflow_run,
            **self.lineage,
        }

    @property
    def file(self) -> Path:
        return manifest_file(self.feast_home, self.name)

    @property
    def folder(self) -> Path:
        """Of its vectors."""
        return rows_folder(self.feast_home, f"{PIN_EMBEDDING}{self.name}")

    @property
    def semantic_ids_file(self) -> Path:
        return semantic_ids_file(self.feast_home, self.name)

    @property
    def shards(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet"))

    def ids(self, wanted: pc.Expression | None = None) -> pa.Array:
        """The pin_ids of the space, strings; one that was pushed again stands twice."""
        chunks = (chunk for shard in self.shards for chunk in read_ids(shard, wanted).chunks)
        return pa.concat_arrays([pa.array([], pa.string()), *chunks])

    def rows(
        self, wanted: pc.Expression | None = None, lose: Callable[[VectorIndexError], None] | None = None
    ) -> Iterator[VectorRows]:
        """The stored vectors, shard by shard: those published and those pushed.

        lose: is told of a shard that cannot be read, which is then left out.

        Raises:
            VectorIndexError: a vector has another length; or, once all shards were read, they hold fewer rows than
                were published.
        """
        read = 0
        for shard in self.shards:
            try:
                rows = read_rows(shard, self.affine, wanted)
            except VectorIndexError as error:
                if lose is None:
                    raise
                lose(error)
                continue
            read += len(rows)
            yield rows
        if wanted is None and lose is None and read < self.pins:
            raise VectorIndexError(
                f"{self.folder} holds {read} Pins, its manifest says {self.pins}; publish the space again."
            )

    def newest(self) -> VectorRows:
        """The newest vector of every Pin, by id.

        Raises:
            VectorIndexError: as rows(), or an id has two vectors of one time.
        """
        rows = newest_each(joined(list(self.rows())))
        return rows.take(pc.sort_indices(rows.ids).to_numpy())


def published_manifests(feast_home: Path) -> list[SpaceManifest]:
    """The manifests of all published spaces, oldest model version first.

    Raises:
        StoreError: a manifest is damaged.
    """
    files = sorted((feast_home / "offline").glob(f"{PIN_EMBEDDING}*.json"))
    names = [file.stem.removeprefix(PIN_EMBEDDING) for file in files]
    return sorted((SpaceManifest.read(feast_home, name) for name in names), key=lambda space: space.model_version)
