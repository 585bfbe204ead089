"""Publishing: a version's quantized vectors become an embedding space in the feature store, beside the others.

    store the rows -> register the space -> bring online -> read back -> register its service -> announce

`challenger` moves to the version. `pin_ranking` moves with it while no version is the champion, so that a first run
serves at once; from then on it moves by promotion alone (components/promotion). Nothing that is served changes before
every vector has been read back equal to its file; the rerun of a run that died begins the space anew. The vectors of a
space that is published never change; Pins may be added. Statistics and tastes follow the catalogue, row by row.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.feature_store import apply, delete, feast_errors, feature_definitions, open_store
from components.monitoring.reference import keep_reference
from components.patience import patient
from components.promotion.places import state_folder
from components.promotion.switching import switch
from components.registry import CHAMPION, Registration, announce, passed_gate, version_of
from components.settings import Settings
from components.warming import LOCK, Facts, Report, warm
from model.affine import read_affine
from model.catalogue import TIME, Catalogue
from model.errors import StoreError
from model.files import alone, remove, replaced, write_json

if TYPE_CHECKING:
    from feast import FeatureStore


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


@patient
def publish(
    quantized: Path,
    prepared: Path,
    registration: Registration,
    lineage: Mapping[str, str],
    settings: Settings,
    report: Report = lambda fraction, message: None,
) -> Publication:
    """Publishes the vectors under the version's space and, when all are readable, moves what follows the newest.

    Raises:
        StoreError: the shards break their contract, the space holds other vectors already, Feast or Redis does not
            answer, or a vector read back differs from its file.
    """
    if not passed_gate(registration.version, settings):  # and MLflow answers, so that the last step will not fail
        return Publication(registration.space, published=False)
    with feast_errors(settings), alone(settings.home / LOCK, wait=True):
        store = open_store(settings)
        space, changed, checked = bring_up(store, quantized, prepared, registration, lineage, settings, report)
        serving = switch(store, space, settings, "publish", lambda: version_of(CHAMPION, settings) is None)
    announce(registration.version, settings)
    return Publication(space.name, True, space.manifest["pins"], checked, changed, serving)


def bring_up(
    store: "FeatureStore",
    quantized: Path,
    prepared: Path,
    registration: Registration,
    lineage: Mapping[str, str],
    settings: Settings,
    report: Report,
) -> tuple[Any, int, int]:
    """The space of these vectors, readable; rows of statistics and tastes that are new; vectors read back.

    Raises:
        StoreError: see publish().
    """
    manifest = _manifest(quantized, registration, lineage)
    space = feature_definitions().Space(settings.home / "feast", manifest)
    if not _is_published(space, manifest):
        delete(store, space.names)
        for left in (space.rows(space.taste), state_folder(space.name, settings)):
            remove(left)
        _store_vectors(quantized, space.rows(space.embedding), manifest)
    report(0.2, f"{manifest['pins']} vectors stored")
    catalogue = Catalogue(prepared / "catalogue")
    pins = catalogue.read("pins", ["pin_id", "created_at"])
    boards = catalogue.read("boards", ["board_id", "pin_id", "saved_at"])
    changed, checked = warm(store, space, Facts(pins, boards), report)
    keep_reference(prepared, space.name, settings)
    write_json(space.manifest_file, manifest)
    apply(store, [space.service()])
    return space, changed, checked


def _manifest(quantized: Path, registration: Registration, lineage: Mapping[str, str]) -> dict[str, Any]:
    """What a reader must know of a space; strings and numbers only."""
    files, file = sorted((quantized / "pins").glob("*.parquet")), quantized / "quantization.json"
    if not files or not file.is_file():
        raise StoreError(f"There are no quantized vectors in {quantized}; run the quantize step before this one.")
    digest = hashlib.sha256(file.read_bytes())
    for shard in files:
        digest.update(shard.read_bytes())
    return {
        "space": registration.space,
        **json.loads(file.read_text(encoding="utf-8")),
        "pins": sum(pq.ParquetFile(shard).metadata.num_rows for shard in files),
        "sha256": digest.hexdigest(),
        "created": registration.created,
        "model": registration.uri,
        "model_version": registration.version,
        "mlflow_run": registration.mlflow_run_id,
        **{name: value for name, value in lineage.items() if value},
    }


def _is_published(space: Any, manifest: Mapping[str, Any]) -> bool:
    """Whether the space is published already, with these very vectors."""
    if not space.manifest_file.is_file():
        return False
    known = json.loads(space.manifest_file.read_text(encoding="utf-8"))
    if known["sha256"] != manifest["sha256"]:
        raise StoreError(
            f"The space {space.name} already holds other vectors, of {known['model']} (MLflow run "
            f"{known['mlflow_run']}); register a new version, or remove {space.home} if the MLflow database was "
            "begun anew."
        )
    return True


def _store_vectors(quantized: Path, folder: Path, manifest: Mapping[str, Any]) -> None:
    """Copies the shards with the two times Feast needs; a vector is known from the creation of its version on."""
    time = pa.scalar(datetime.fromisoformat(manifest["created"]), TIME)
    with replaced(folder) as scratch:
        scratch.mkdir()
        for shard in sorted((quantized / "pins").glob("*.parquet")):
            table = pq.read_table(shard, columns=["pin_id", "vector"])
            _check_lengths(table["vector"], read_affine(quantized).bytes_per_pin, shard)
            times = pa.repeat(time, table.num_rows)
            table = table.append_column("event_timestamp", times).append_column("created", times)
            pq.write_table(table, scratch / shard.name)


def _check_lengths(vectors: pa.ChunkedArray, expected: int, shard: Path) -> None:
    lengths = set(pc.unique(pc.binary_length(vectors)).to_pylist())
    if wrong := lengths - {expected}:
        sizes = ", ".join(str(size) for size in wrong)
        raise StoreError(f"{shard} holds vectors of {sizes} bytes, quantization.json says {expected}; quantize again.")
