"""Publishing to Feast: the quantized vectors of a version become features, read back and compared, then served.

    store the shards -> register view and service of the space -> materialize -> read back -> switch -> announce

Nothing that is served changes before every vector has been read back equal to its file: a run that dies on the way
leaves `pin_ranking` and the alias `challenger` where they were, and its rerun begins the space anew. The two move one
right after the other; a run that dies between them is finished by its rerun. A space that is published never changes,
and stays beside those that follow.
"""

import contextlib
import hashlib
import importlib
import io
import json
import sqlite3
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.registry import Registration, announce, passed_gate
from components.settings import Settings
from model.affine import read_affine
from model.catalogue import TIME
from model.errors import StoreError
from model.files import replaced, write_json, write_text

if TYPE_CHECKING:
    from feast import FeatureStore

REPO = Path(__file__).resolve().parents[1] / "feature_repo"
READ_BACK = 20_000  # Pins read back at most; a larger table is sampled evenly
BATCH = 1_000  # Pins of one online request


@dataclass(frozen=True)
class Publication:
    """What publishing did. A version that failed its gate is not published: no space, no service, no alias."""

    space: str
    published: bool
    pins: int = 0
    checked: int = 0  # Pins read back through the FeatureService and equal to the file

    def write(self, path: Path) -> None:
        write_json(path, asdict(self))


def publish(
    quantized: Path,
    registration: Registration,
    lineage: Mapping[str, str],
    settings: Settings,
    report: Callable[[float, str], None] = lambda fraction, message: None,
) -> Publication:
    """Publishes the vectors under the version's space and, when all are readable, moves what follows the newest.

    Raises:
        StoreError: the shards break their contract, the space holds other vectors already, Feast does not answer, or
            a vector read back differs from its file.
    """
    space = registration.space
    if not passed_gate(registration.version, settings):  # and MLflow answers, so that the last step will not fail
        return Publication(space, published=False)
    feast_home, features = settings.home / "feast", feature_definitions()
    manifest = _manifest(quantized, registration, lineage)
    manifest_file = features.manifest_file(feast_home, space)
    known = _published(manifest_file, manifest)
    view = features.embedding_view(feast_home, manifest)
    service = features.space_service(view)
    if not known:
        _store_shards(quantized, features.shards_folder(feast_home, space), manifest)
        report(0.1, f"{manifest['pins']} vectors stored")
    with _feast_errors(feast_home):
        store = open_store(settings)
        if not known:
            _clear(store, view.name)
        _apply(store, [features.project, features.pin, view, service])
        if not known:  # Feast serves nothing of a view while it materializes: one that is served is left alone
            _materialize(store, view.name, datetime.fromisoformat(registration.created))
            report(0.5, "vectors in the online store")
        checked = _read_back(store, service.name, quantized, manifest_file, manifest["pins"])
        report(0.9, f"{checked} vectors read back, all equal")
        write_json(manifest_file, manifest)
        write_json(features.ranking_file(feast_home), {"space": space})
        _apply(store, [features.moving_service(view)])
    announce(registration.version, settings)
    return Publication(space, True, manifest["pins"], checked)


def feature_definitions() -> ModuleType:
    """feature_repo/pin_features.py, imported as Feast imports it: by bare name from its folder."""
    if str(REPO) not in sys.path:
        sys.path.append(str(REPO))
    return importlib.import_module("pin_features")


def open_store(settings: Settings) -> "FeatureStore":
    """The feature store of the settings' home; writes <home>/feast/feature_store.yaml for `feast` and for readers."""
    import yaml
    from feast import FeatureStore, RepoConfig

    home = (settings.home / "feast").resolve()
    config = yaml.safe_load((REPO / "feature_store.yaml").read_text(encoding="utf-8"))
    for store in ("registry", "online_store"):
        config[store]["path"] = str(home / Path(config[store]["path"]).name)
    write_text(home / "feature_store.yaml", yaml.safe_dump(config, sort_keys=False))
    config["registry"]["registry_store_type"] = "components.atomic_registry.AtomicRegistryStore"
    return FeatureStore(config=RepoConfig(repo_path=REPO, **config))


def _manifest(quantized: Path, registration: Registration, lineage: Mapping[str, str]) -> dict[str, Any]:
    """What a reader must know of a space; strings and numbers only."""
    shards, file = sorted((quantized / "pins").glob("*.parquet")), quantized / "quantization.json"
    if not shards or not file.is_file():
        raise StoreError(f"There are no quantized vectors in {quantized}; run the quantize step before this one.")
    digest = hashlib.sha256(file.read_bytes())
    for shard in shards:
        digest.update(shard.read_bytes())
    return {
        "space": registration.space,
        **json.loads(file.read_text(encoding="utf-8")),
        "pins": sum(pq.ParquetFile(shard).metadata.num_rows for shard in shards),
        "sha256": digest.hexdigest(),
        "created": registration.created,
        "model": registration.uri,
        "mlflow_run": registration.mlflow_run_id,
        **{name: value for name, value in lineage.items() if value},
    }


def _published(manifest_file: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether the space is published already, with these very vectors."""
    if not manifest_file.is_file():
        return False
    known = json.loads(manifest_file.read_text(encoding="utf-8"))
    if known["sha256"] != manifest["sha256"]:
        raise StoreError(
            f"The space {manifest['space']} already holds other vectors, of {known['model']} (MLflow run "
            f"{known['mlflow_run']}); register a new version, or remove {manifest_file.parent.parent} if the "
            "MLflow database was begun anew."
        )
    return True


def _store_shards(quantized: Path, folder: Path, manifest: Mapping[str, Any]) -> None:
    """Copies the shards with the two times Feast needs; a vector is known from the creation of its version on."""
    with replaced(folder) as scratch:
        scratch.mkdir()
        for shard in sorted((quantized / "pins").glob("*.parquet")):
            table = pq.read_table(shard, columns=["pin_id", "vector"])
            _check_lengths(table["vector"], read_affine(quantized).bytes_per_pin, shard)
            time = pa.scalar(datetime.fromisoformat(manifest["created"]), TIME)
            times = pa.repeat(time, table.num_rows)
            table = table.append_column("event_timestamp", times).append_column("created", times)
            pq.write_table(table, scratch / shard.name)


def _check_lengths(vectors: pa.ChunkedArray, expected: int, shard: Path) -> None:
    lengths = set(pc.unique(pc.binary_length(vectors)).to_pylist())
    if wrong := lengths - {expected}:
        sizes = ", ".join(str(size) for size in wrong)
        raise StoreError(f"{shard} holds vectors of {sizes} bytes, quantization.json says {expected}; quantize again.")


def _clear(store: "FeatureStore", view_name: str) -> None:
    """Removes what a killed attempt left of a space: its registry entry and its online table."""
    left = [view for view in store.list_feature_views() if view.name == view_name]
    if left:
        with _quiet():
            store.apply([], objects_to_delete=left, partial=False)


def _apply(store: "FeatureStore", definitions: list[Any]) -> None:
    with _quiet():
        store.apply(definitions)


def _materialize(store: "FeatureStore", view_name: str, created: datetime) -> None:
    with _quiet():
        store.materialize(created - timedelta(seconds=1), created + timedelta(seconds=1), feature_views=[view_name])


def _read_back(store: "FeatureStore", service_name: str, quantized: Path, manifest_file: Path, pins: int) -> int:
    """Reads vectors as a ranker does and compares them with the file; returns how many."""
    service, stride, checked = store.get_feature_service(service_name), -(-pins // READ_BACK), 0
    for shard in sorted((quantized / "pins").glob("*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(BATCH * stride, columns=["pin_id", "vector"]):
            ids, vectors = (batch.column(name).to_pylist()[::stride] for name in ("pin_id", "vector"))
            answer = store.get_online_features(features=service, entity_rows={"pin_id": ids}).to_dict()
            for pin_id, served, expected in zip(ids, answer["vector"], vectors, strict=True):
                if served != expected:
                    raise StoreError(
                        f"The vector that Feast serves for the Pin {pin_id!r} is not that of {shard}; nothing was "
                        f"switched: remove {manifest_file}, if it is there, and run the pipeline again."
                    )
            checked += len(ids)
    return checked


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Feast prints banners and its libraries' deprecations on every call."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _feast_errors(feast_home: Path) -> Iterator[None]:
    from feast.errors import FeastError
    from google.protobuf.message import DecodeError

    try:
        yield
    except DecodeError:
        raise StoreError(
            f"The registry {feast_home / 'registry.db'} is corrupt; remove it and run `feast apply` in feature_repo."
        ) from None
    except (FeastError, sqlite3.Error) as error:
        raise StoreError(
            f"Feast refused ({error}); check that {feast_home} is writable and used by no other run."
        ) from error
