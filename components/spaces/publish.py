"""Publishing: a version's quantized vectors become an embedding space in the feature store, beside the others.

    store the rows -> register the space -> bring online -> read back -> register its service -> announce

`challenger` moves to the version, unless a newer one has it. The first version that is published serves at once: there
is nothing that it could make worse. Every later one waits for a promotion (components/spaces/promote.py). Nothing that
is served changes before every vector has been read back equal to its file; the rerun of a run that died begins the
space anew. The vectors of a space that is published never change; Pins may be added. Statistics and tastes follow the
catalogue, row by row.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.registry.versions import CHAMPION, Registration, announce, passed_gate, version_of
from components.retries import with_retries
from components.settings import Settings
from components.spaces.drift_reference import keep_reference
from components.spaces.feature_store import apply_objects, delete, feast_errors, open_store
from components.spaces.materialize import LOCK, Progress, SaveHistory, materialize
from components.spaces.paths import state_folder
from components.spaces.published_spaces import serving_space
from components.spaces.query_sample import keep_queries
from components.spaces.semantic_ids import learn_semantic_ids
from components.spaces.switch import switch
from components.spaces.tag_calibration import keep_tag_calibration
from components.spaces.told_spaces import tell_spaces
from components.tombstones import read_tombstones
from model.config import PrepareConfig
from model.data.catalogue import Catalogue
from model.data.forgotten import Forgotten
from model.embedding.affine import read_affine
from model.errors import StoreError
from model.files import file_lock, remove, replaced, write_json
from serving.rows import write_rows
from serving.space import SpaceManifest

if TYPE_CHECKING:
    from feast import FeatureStore

    from feature_repo.ranking_services import SpaceObjects


@dataclass(frozen=True)
class Publication:
    """What publishing did. A version that failed its gate is not published: no space, no service, no alias."""

    space: str
    published: bool
    pins: int = 0
    checked: int = 0  # Pins read back through Feast and equal to the file
    changed: int = 0  # rows of statistics and tastes that were new
    serving: bool = False  # whether `pin_ranking` stands on it

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


@with_retries
def publish(
    quantized: Path,
    prepared: Path,
    registration: Registration,
    lineage: Mapping[str, str],
    settings: Settings,
    report: Progress = lambda fraction, message: None,
    config: PrepareConfig = PrepareConfig(),  # noqa: B008 - it is frozen
) -> Publication:
    """Publishes the vectors under the version's space and, when all are readable, moves `challenger`.

    config: says how tastes fade.

    Raises:
        StoreError: the shards break their contract, the space holds other vectors already, Feast or Redis does not
            answer, or a vector read back differs from its file.
    """
    if not passed_gate(registration.version, settings):  # and MLflow answers, so that the last step will not fail
        return Publication(registration.space, published=False)
    with feast_errors(settings), file_lock(settings.home / LOCK, wait=True):
        store = open_store(settings)
        folders = quantized, prepared
        space, changed, checked = bring_up(store, *folders, registration, lineage, settings, report, config)
        serving = switch(store, space, settings, "publish", lambda: _may_serve(space.name, settings))
        tell_spaces(store, settings)
    announce(registration.version, settings)
    return Publication(space.name, True, space.manifest.pins, checked, changed, serving)


def _may_serve(space: str, settings: Settings) -> bool:
    """Whether nothing else serves, and nobody has chosen a champion, which `pinclip sync` brings up."""
    return serving_space(settings) in (None, space) and version_of(CHAMPION, settings) is None


def bring_up(
    store: "FeatureStore",
    quantized: Path,
    prepared: Path,
    registration: Registration,
    lineage: Mapping[str, str],
    settings: Settings,
    report: Progress,
    config: PrepareConfig,
) -> "tuple[SpaceObjects, int, int]":
    """The space of these vectors, readable; rows of statistics and tastes that are new; vectors read back.

    Raises:
        StoreError: see publish().
    """
    from feature_repo.ranking_services import SpaceObjects

    forgotten = read_tombstones(settings)
    manifest = _manifest(quantized, registration, lineage, settings.home / "feast", forgotten)
    if not _is_published(manifest):
        left = SpaceObjects(manifest)
        delete(store, left.names)
        for path in (*map(left.rows, left.stored), manifest.semantic_ids_file, state_folder(manifest.name, settings)):
            remove(path)
        _store_vectors(quantized, manifest, forgotten)
        learn_semantic_ids(manifest)
    space = SpaceObjects(manifest)
    report(0.2, f"{manifest.pins} vectors stored")
    catalogue = Catalogue(prepared / "catalogue", forgotten)
    pins = catalogue.read("pins", ["pin_id", "created_at"])
    boards = catalogue.read("boards", ["board_id", "pin_id", "saved_at", "user_id"])
    preferences = catalogue.read("preferences", ["user_id", "pin_id", "weight", "time"])
    history = SaveHistory.of(pins, boards, preferences, config.taste_half_life_days)
    changed, checked = materialize(store, space, history, report)
    keep_reference(prepared, space.name, settings)
    keep_queries(quantized, space.name, settings)
    keep_tag_calibration(quantized, catalogue, space.name, settings)
    manifest.write()
    apply_objects(store, space.services)
    return space, changed, checked


def _manifest(
    quantized: Path, registration: Registration, lineage: Mapping[str, str], feast_home: Path, forgotten: Forgotten
) -> SpaceManifest:
    files, file = sorted((quantized / "pins").glob("*.parquet")), quantized / "quantization.json"
    if not files or not file.is_file():
        raise StoreError(f"There are no quantized vectors in {quantized}; run the quantize step before this one.")
    lineage = {**lineage, "compatible_with": registration.compatible_with}
    digest = hashlib.sha256(file.read_bytes())
    for shard in files:
        digest.update(shard.read_bytes())
    return SpaceManifest(
        feast_home,
        name=registration.space,
        affine=read_affine(quantized),
        pins=sum(_kept(shard, forgotten).num_rows for shard in files),
        sha256=digest.hexdigest(),
        created=datetime.fromisoformat(registration.created),
        model=registration.uri,
        model_version=registration.version,
        mlflow_run=registration.mlflow_run_id,
        lineage={name: value for name, value in lineage.items() if value},
    )


def _is_published(space: SpaceManifest) -> bool:
    """Whether the space is published already, with these very vectors."""
    if not space.file.is_file():
        return False
    known = SpaceManifest.read(space.feast_home, space.name)
    if known.sha256 != space.sha256:
        raise StoreError(
            f"The space {space.name} already holds other vectors, of {known.model} (MLflow run {known.mlflow_run}); "
            f"register a new version, or remove {space.feast_home} if the MLflow database was begun anew."
        )
    return True


def _store_vectors(quantized: Path, space: SpaceManifest, forgotten: Forgotten) -> None:
    """Copies the shards with the two times Feast needs; a vector is known from the creation of its version on."""
    with replaced(space.folder) as scratch:
        scratch.mkdir()
        for shard in sorted((quantized / "pins").glob("*.parquet")):
            table = _kept(shard, forgotten)
            _check_lengths(table["vector"], space.affine.bytes_per_pin, shard)
            write_rows(scratch / shard.name, table["pin_id"], table["vector"], space.created, space.created)


def _kept(shard: Path, forgotten: Forgotten) -> pa.Table:
    """pin_id and vector, without Pins that were forgotten after the run had read its catalogue."""
    table = pq.read_table(shard, columns=["pin_id", "vector"])
    return table.filter(pc.invert(forgotten.mask(table["pin_id"]))) if forgotten else table


def _check_lengths(vectors: pa.ChunkedArray, expected: int, shard: Path) -> None:
    lengths = set(pc.unique(pc.binary_length(vectors)).to_pylist())
    if wrong := lengths - {expected}:
        sizes = ", ".join(str(size) for size in wrong)
        raise StoreError(f"{shard} holds vectors of {sizes} bytes, quantization.json says {expected}; quantize again.")
