"""Publishing: a version's quantized vectors, its users' tastes and the Pins' statistics become features.

    store the rows -> register the space -> bring online -> read back -> register its service -> switch -> announce

Nothing that is served changes before every vector has been read back equal to its file: a run that dies on the way
leaves `pin_ranking` and the alias `challenger` where they were, and its rerun begins the space anew. The two move one
right after the other; a run that dies between them is finished by its rerun. The vectors of a space that is published
never change; statistics and tastes follow the catalogue, row by row.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.feature_log import append, shards
from components.feature_store import apply, bring_online, delete, feast_errors, feature_definitions, open_store
from components.registry import Registration, announce, passed_gate
from components.settings import Settings
from model.affine import read_affine
from model.catalogue import TIME, Catalogue
from model.errors import StoreError
from model.files import remove, replaced, write_json
from model.pin_stats import pin_stats
from model.quantization import read_codes
from model.tastes import taste_table

if TYPE_CHECKING:
    from feast import FeatureStore

READ_BACK = 20_000  # Pins read back at most; a larger table is sampled evenly
BATCH = 1_000  # Pins of one online request
Report = Callable[[float, str], None]  # share done, what has been done


@dataclass(frozen=True)
class Publication:
    """What publishing did. A version that failed its gate is not published: no space, no service, no alias."""

    space: str
    published: bool
    pins: int = 0
    checked: int = 0  # Pins read back through Feast and equal to the file
    changed: int = 0  # rows of statistics and tastes that were new

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


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
    manifest = _manifest(quantized, registration, lineage)
    space = feature_definitions().Space(settings.home / "feast", manifest)
    with feast_errors(settings):
        store = open_store(settings)
        if not _is_published(space, manifest):
            delete(store, space.names)
            remove(space.rows(space.taste))
            _store_vectors(quantized, space.rows(space.embedding), manifest)
        changed = _append_rows(quantized, prepared, space, datetime.fromisoformat(registration.created))
        report(0.2, f"{manifest['pins']} vectors stored, {changed} rows of statistics and tastes are new")
        apply(store, [*space.shared, *space.views])
        for view in (space.embedding, space.stats, space.taste):
            bring_online(store, view.name, space.rows(view), datetime.now(UTC))
        report(0.5, "vectors in the online store")
        checked = _read_back(store, space, quantized, manifest["pins"])
        report(0.9, f"{checked} vectors read back, all equal")
        write_json(space.manifest_file, manifest)
        apply(store, [space.service()])
        write_json(space.ranking_file, {"space": space.name})
        apply(store, [space.moving_service()])
    announce(registration.version, settings)
    return Publication(space.name, True, manifest["pins"], checked, changed)


def retire(space_name: str, settings: Settings) -> None:
    """Removes a space that nobody reads any more: its services, views, rows on disk and in the online store.

    Raises:
        StoreError: `pin_ranking` stands on it, or there is no such space.
    """
    definitions, home = feature_definitions(), settings.home / "feast"
    manifest_file = definitions.manifest_file(home, space_name)
    if not manifest_file.is_file():
        raise StoreError(f"There is no space {space_name}; `feast feature-services list` names those there are.")
    space = definitions.Space(home, json.loads(manifest_file.read_text(encoding="utf-8")))
    if json.loads(space.ranking_file.read_text(encoding="utf-8"))["space"] == space_name:
        raise StoreError(f"`pin_ranking` serves the space {space_name}; publish another version before it goes.")
    with feast_errors(settings):
        store = open_store(settings)
        delete(store, [space.service().name])  # from now on readers are refused
        delete(store, space.names)
    for path in (space.rows(space.embedding), space.rows(space.taste), manifest_file):
        remove(path)


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


def _append_rows(quantized: Path, prepared: Path, space: Any, created: datetime) -> int:
    """The catalogue's statistics and tastes into their logs, from the version's creation on; how many rows are new."""
    catalogue = Catalogue(prepared / "catalogue")
    pins = catalogue.read("pins", ["pin_id", "created_at"])
    boards = catalogue.read("boards", ["board_id", "pin_id", "saved_at"])
    stats, tastes = space.rows(space.stats), space.rows(space.taste)
    times = {folder: datetime.now(UTC) if shards(folder) else created for folder in (stats, tastes)}
    appended = append(stats, pin_stats(pins, boards, times[stats]), "pin_id", times[stats])
    boards = boards.filter(pc.fill_null(pc.less_equal(boards["saved_at"], pa.scalar(times[tastes], TIME)), True))
    coded = pa.concat_tables([pq.read_table(p, columns=["pin_id"]) for p in sorted((quantized / "pins").iterdir())])
    rows = taste_table(boards, coded["pin_id"], read_codes(quantized), read_affine(quantized))
    rows = rows.append_column("event_timestamp", pa.repeat(pa.scalar(times[tastes], TIME), rows.num_rows))
    return appended + append(tastes, rows, "user_id", times[tastes])


def _read_back(store: "FeatureStore", space: Any, quantized: Path, pins: int) -> int:
    """Reads vectors as a ranker does and compares them with the file; returns how many."""
    feature, stride, checked = f"{space.embedding.name}:vector", -(-pins // READ_BACK), 0
    for shard in sorted((quantized / "pins").glob("*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(BATCH * stride, columns=["pin_id", "vector"]):
            ids, vectors = (batch.column(name).to_pylist()[::stride] for name in ("pin_id", "vector"))
            answer = store.get_online_features(features=[feature], entity_rows={"pin_id": ids}).to_dict()
            for pin_id, served, expected in zip(ids, answer["vector"], vectors, strict=True):
                if served != expected:
                    raise StoreError(
                        f"The vector that Feast serves for the Pin {pin_id!r} is not that of {shard}; nothing was "
                        f"switched: remove {space.manifest_file}, if it is there, and run the pipeline again."
                    )
            checked += len(ids)
    return checked
