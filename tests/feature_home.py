"""What the tests of the feature store share: quantized vectors, a prepared catalogue, versions, a redis-server."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.gate import Verdict
from components.mlflow_client import connect
from components.registry.versions import Registration
from components.settings import Settings
from components.spaces.publish import publish
from model.data.catalogue import TIME, CatalogueWriter
from model.embedding.affine import Affine
from serving.space import SpaceManifest

DIM = 16
LINEAGE = {"catalogue": "catalogue", "catalogue_digest": "c" * 64, "git_rev": "abc", "dvc_md5": ""}
CREATED = datetime(2026, 11, 1, 12, tzinfo=UTC)  # of every version, unless another time is asked for


def quantized(
    folder: Path, seed: int, pins: int = 230, shards: int = 2, bits: int = 8
) -> tuple[Path, dict[str, bytes]]:
    """Codes of pins p0 … in `shards` files; returns (folder, {pin_id: bytes})."""
    codes = np.random.default_rng(seed).integers(-128, 128, (pins, DIM * bits // 8), dtype=np.int8)
    vectors = {f"p{i}": row.tobytes() for i, row in enumerate(codes)}
    (folder / "pins").mkdir(parents=True)
    ids = list(vectors)
    for number, part in enumerate(np.array_split(np.arange(pins), shards)):
        names = [ids[i] for i in part]
        table = pa.table({"pin_id": names, "vector": pa.array([vectors[n] for n in names], pa.binary())})
        pq.write_table(table, folder / "pins" / f"{number:05d}.parquet")
    fields = {"scale": 0.0078125, "zero_point": 3, "bits": bits, "dim": DIM}
    (folder / "quantization.json").write_text(json.dumps(fields))
    return folder, vectors


def space_manifest(feast_home: Path, affine: Affine, name: str = "v1", pins: int = 0) -> SpaceManifest:
    """Of a space that nobody published."""
    own = {"sha256": "s" * 64, "model": f"models:/pinclip/{name}", "model_version": 1, "mlflow_run": "run"}
    return SpaceManifest(feast_home, name, affine, pins, created=CREATED, lineage=LINEAGE, **own)


def prepared(folder: Path, saves: list[tuple[str, str, datetime | None]], pins: int = 230) -> Path:
    """A prepared catalogue: Pin i was made i hours before CREATED less ten days, p0 at a time unknown."""
    made = [None, *(CREATED - timedelta(days=10, hours=i) for i in range(1, pins))]
    with CatalogueWriter(folder / "catalogue") as writer:
        columns = {"pin_id": [f"p{i}" for i in range(pins)], "image": [b"-"] * pins}
        writer.write("pins", pa.table(columns | {"created_at": pa.array(made, TIME)}))
        boards = dict(zip(("board_id", "pin_id", "saved_at"), zip(*saves, strict=True), strict=True))
        times = pa.array(boards["saved_at"], TIME)
        writer.write(
            "boards", pa.table({name: pa.array(column) for name, column in boards.items()} | {"saved_at": times})
        )
    return folder


SAVES = [("b0", f"p{i}", CREATED - timedelta(days=9 - i)) for i in range(8)]
SAVES += [("b1", "p3", CREATED - timedelta(days=2)), ("b1", "p4", None), ("b2", "p5", CREATED - timedelta(days=1))]


class Home:
    """A PINCLIP_HOME with an MLflow registry, where versions are published."""

    def __init__(self, root: Path, redis: str = "", mlflow_uri: str = "") -> None:
        self.root, self.settings = root, Settings(home=root / "home", redis=redis, mlflow_uri=mlflow_uri)
        self.client = connect(self.settings)
        if not mlflow_uri:
            self.client.create_registered_model("pinclip")
        self.prepared = prepared(root / "prepared", SAVES)

    def beside(self, root: Path, redis: str = "") -> "Home":
        """An empty home that registers its versions in the same MLflow, which takes seconds to make."""
        return Home(root, redis, self.settings.mlflow_uri)

    @property
    def configuration(self) -> Path:
        return self.settings.home / "feast" / "feature_store.yaml"

    def registered(self, passed: bool = True, created: datetime = CREATED, compatible_with: str = "") -> Registration:
        """A new version, its gate passed or not; no model is needed to publish vectors."""
        tags = {"pinclip.gate": "passed" if passed else "failed"}
        version = int(self.client.create_model_version("pinclip", "s3://nowhere/model", tags=tags).version)
        verdict = Verdict(passed, ("A reason.",))
        return Registration(version, verdict, "run", f"models:/pinclip/{version}", created.isoformat(), compatible_with)

    def publish(self, folder: Path, registration: Registration, report=lambda fraction, message: None):
        return publish(folder, self.prepared, registration, LINEAGE, self.settings, report)

    def new_space(self, seed: int, compatible_with: str = "", **options) -> tuple[str, dict[str, bytes]]:
        """Publishes a version; returns its space and its vectors as stored."""
        registration = self.registered(compatible_with=compatible_with)
        folder, vectors = quantized(self.root / f"quantized-{registration.version}", seed, **options)
        self.publish(folder, registration)
        return registration.space, vectors


class Redis:
    """A real redis-server on a free port of this machine, that keeps what it holds over a restart."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("redis-server is not installed: apt-get install redis-server")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self.command += ["--appendonly", "yes", "--save", ""]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as line:
                line.sendall(b"PING\r\n")
                if line.recv(16).startswith(b"+PONG"):
                    return
            time.sleep(0.05)
        raise RuntimeError("redis-server does not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Redis]:
    folder.mkdir(exist_ok=True)
    server = Redis(folder)
    try:
        yield server
    finally:
        server.stop()


def environment(home: Home) -> dict[str, str]:
    """Of a Feast user: the configuration by its name, Redis by its variable."""
    own = {"FEAST_FS_YAML_FILE_PATH": str(home.configuration)}
    return os.environ | own | ({"PINCLIP_REDIS": home.settings.redis} if home.settings.redis else {})
