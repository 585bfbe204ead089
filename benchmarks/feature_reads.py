"""Vectors in Redis: writing and reading, this project's bytes against Feast's Array(Float32) and against Redis alone.

    python benchmarks/feature_reads.py --pins 5000 --ids 500 --dim 256

Starts a redis-server of its own. All ways take turns in one run, the same Pins; the median counts, with the least and
the most. Every read ends in a float32 matrix, but for that of Redis alone, which ends in the bytes.
"""

import argparse
import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.settings import Settings
from components.spaces.feature_store import apply_objects, bring_online, open_store, quiet
from feature_repo.pin_features import pin
from feature_repo.ranking_services import SpaceObjects
from model.data.catalogue import TIME
from model.embedding.affine import Affine
from model.embedding.columns import as_binary
from serving.features import Features
from serving.online.feast_bytes import entity_keys
from serving.rows import write_rows
from serving.space import SpaceManifest

CREATED = datetime(2026, 11, 1, tzinfo=UTC)


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[Any]:
    """A client of a server that lives as long."""
    from redis import Redis
    from redis.exceptions import ConnectionError as NotYet

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    client = Redis(port=port)
    try:
        while server.poll() is None:
            with contextlib.suppress(NotYet):
                client.ping()
                break
        yield client
    finally:
        server.terminate()
        server.wait()


def array_view(feast_home: Path) -> Any:
    """The vectors as a Feast user would store them who has not thought about it."""
    from feast import FeatureView, Field, FileSource
    from feast.types import Array, Float32

    source = FileSource(name="floats", path=str(feast_home / "floats.parquet"), timestamp_field="event_timestamp")
    return FeatureView(
        name="floats",
        entities=[pin],
        schema=[Field(name="values", dtype=Array(Float32))],
        source=source,
        ttl=timedelta(0),
    )


def write_both(space: SpaceObjects, feast_home: Path, codes: np.ndarray) -> list[str]:
    """The same Pins as bytes and as floats; returns their ids."""
    ids = [f"pin-{i:07d}" for i in range(len(codes))]
    times = pa.repeat(pa.scalar(CREATED, TIME), len(ids))
    common = {"pin_id": ids, "event_timestamp": times, "created": times}
    stored = as_binary(codes.view(np.uint8))
    write_rows(space.manifest.folder / "00000.parquet", pa.array(ids), stored, CREATED, CREATED)
    floats = pa.array(list(codes.astype(np.float32)), pa.list_(pa.float32()))
    pq.write_table(pa.table(common | {"values": floats}), feast_home / "floats.parquet")
    return ids


def taken(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every way, all of them in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def show(title: str, seconds: dict[str, list[float]], count: int, against: str) -> None:
    print(f"\n{title}")
    for name, all_of_it in seconds.items():
        middle, ratio = np.median(all_of_it), np.median(seconds[against]) / np.median(all_of_it)
        spread = f"{min(all_of_it) * 1e3:.2f} to {max(all_of_it) * 1e3:.2f}"
        print(
            f"  {name:<32} {middle * 1e3:9.2f} ms ({spread})  {count / middle:>12,.0f} Pins/s  {ratio:6.2f}x {against}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("pins", 5000), ("ids", 500), ("dim", 256), ("rounds", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as redis:
        address = f"127.0.0.1:{redis.connection_pool.connection_kwargs['port']}"
        settings = Settings(home=Path(folder) / "home", redis=address)
        feast_home, affine = settings.home / "feast", Affine(0.01, 0, bits=8, dim=args.dim)
        space = SpaceObjects(SpaceManifest(feast_home, "v1", affine, args.pins, "", CREATED, "none", 1, "", {}))
        store = open_store(settings)
        codes = np.random.default_rng(0).integers(-127, 128, (args.pins, args.dim), dtype=np.int8)
        ids = write_both(space, feast_home, codes)
        floats = array_view(feast_home)
        apply_objects(store, [*space.shared, *space.views, space.service(), floats])
        measure_writes(store, space, redis, args.pins)
        measure_reads(store, redis, ids[:: max(1, args.pins // args.ids)][: args.ids], args.rounds)


def measure_writes(store: Any, space: Any, redis: Any, pins: int) -> None:
    folder, end = space.rows(space.embedding), CREATED + timedelta(seconds=1)

    def feast_writes(view: str) -> Callable[[], object]:
        def write() -> None:
            with quiet():
                store.materialize(CREATED - timedelta(seconds=1), end, feature_views=[view])

        return write

    def ours() -> None:
        redis.flushall()  # else the rows would be found written already
        bring_online(store, space.embedding.name, folder, end)

    def floats() -> None:
        redis.flushall()
        feast_writes("floats")()

    ours()
    seconds = taken({"Feast, Array(Float32)": floats, "this project": ours}, rounds=3)
    show(f"Writing {pins} Pins", seconds, pins, "Feast, Array(Float32)")
    feast_writes("floats")()


def measure_reads(store: Any, redis: Any, ids: list[str], rounds: int) -> None:
    from feast.infra.online_stores.helpers import _mmh3

    features, rows = Features(store), [{"pin_id": pin_id} for pin_id in ids]
    field, keys = _mmh3("pin_embedding_v1:vector"), [key + b"pinclip" for key in entity_keys("pin_id", ids)]

    def feast_reads() -> np.ndarray:
        return np.array(store.get_online_features(["floats:values"], rows).to_dict()["values"], np.float32)

    def redis_alone() -> list[Any]:
        pipe = redis.pipeline(transaction=False)
        for key in keys:
            pipe.hmget(key, field)
        return pipe.execute()

    def ours() -> np.ndarray:
        return features.pin_vectors(ids, "v1")[0]

    ways = {"Feast, Array(Float32)": feast_reads, "Redis alone, a pipeline": redis_alone, "this project": ours}
    for way in ways.values():
        way()
    show(f"Reading {len(ids)} Pins", taken(ways, rounds), len(ids), "Feast, Array(Float32)")


if __name__ == "__main__":
    main()
