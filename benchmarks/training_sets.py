"""Seconds and memory of a training set: every feature of `pin_ranking` against stored features alone.

    python benchmarks/training_sets.py --impressions 1000000

Feast joins the stored rows in time (duckdb); what is above the second figure is this project's on-demand functions.
Each training set is made in a process of its own, so that its peak of memory is its own. Pins, users and vectors are
random: what a training set costs depends on their numbers.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.settings import Settings
from components.spaces.feature_store import apply_objects, open_store
from model.data.catalogue import TIME
from model.embedding.affine import Affine
from model.embedding.columns import as_binary
from serving.rows import write_rows
from serving.space import SpaceManifest

CREATED = datetime(2026, 11, 1, tzinfo=UTC)
ASKED = CREATED + timedelta(days=1)


def publish(settings: Settings, pins: int, users: int, dim: int) -> None:
    """A space `v1` of random vectors, with statistics and up to three tastes a user."""
    store = open_store(settings)
    from feature_repo.ranking_services import SpaceObjects

    manifest = SpaceManifest(
        settings.home / "feast", "v1", Affine(0.01, 0, 8, dim), pins, "", CREATED, "none", 1, "", {}
    )
    space, chance = SpaceObjects(manifest), np.random.default_rng(0)
    codes = chance.integers(-127, 128, (pins, dim), dtype=np.int8)
    ids = pa.array(_ids("pin", pins))
    write_rows(manifest.folder / "0.parquet", ids, as_binary(codes.view(np.uint8)), CREATED, CREATED)
    saves, made = pa.array(chance.integers(0, 99, pins)), _times(CREATED - timedelta(days=9), pins)
    stats = {"pin_id": ids, "saves": saves, "boards": saves, "created_at": made}
    _write(space.rows(space.stats), stats, pins)
    medoids = [codes[chance.integers(0, pins, chance.integers(1, 4))] for _ in range(users)]
    tastes = {"user_id": _ids("user", users), "medoids": [one.tobytes() for one in medoids]}
    shares = [np.full(len(one), 1 / len(one), np.float32) for one in medoids]
    _write(space.rows(space.taste), tastes | {"weights": pa.array(shares, pa.list_(pa.float32()))}, users)
    apply_objects(store, [*space.shared, *space.views, space.service()])


def impressions(count: int, pins: int, users: int) -> pd.DataFrame:
    chance = np.random.default_rng(1)
    rows = {"pin_id": chance.choice(_ids("pin", pins), count), "user_id": chance.choice(_ids("user", users), count)}
    return pd.DataFrame({**rows, "event_timestamp": ASKED, "asked_at": ASKED, "row_id": np.arange(count)})


def training_set(home: Path, features: Any, rows: pd.DataFrame, answer: Any) -> None:
    """Sends (seconds, CPU seconds, peak GiB of this process, GiB before)."""
    store = open_store(Settings(home=home, redis=""))
    asked = store.get_feature_service(features) if isinstance(features, str) else features
    before, start, used = _resident(), time.perf_counter(), time.process_time()
    found = store.get_historical_features(rows, asked).to_arrow()
    assert found.num_rows == len(rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    answer.send((time.perf_counter() - start, time.process_time() - used, peak, before))


def _resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**30


def _ids(kind: str, count: int) -> list[str]:
    return [f"{kind}-{i:07d}" for i in range(count)]


def _times(moment: datetime, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(moment, TIME), count)


def _write(folder: Path, columns: dict[str, Any], count: int) -> None:
    folder.mkdir(parents=True)
    known = _times(CREATED, count)
    pq.write_table(pa.table({**columns, "event_timestamp": known, "created": known}), folder / "0.parquet")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("impressions", 1_000_000), ("pins", 50_000), ("users", 5_000), ("dim", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    fork = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        publish(Settings(home=home, redis=""), args.pins, args.users, args.dim)
        rows = impressions(args.impressions, args.pins, args.users)
        print(f"{args.impressions:,} impressions, {args.pins:,} Pins, {args.users:,} users, {args.dim} dimensions")
        stored = ["pin_embedding_v1:vector", "pin_stats:saves"]
        for name, features in (("vector and saves alone", stored), ("all of pin_ranking", "pin_ranking_v1")):
            here, there = fork.Pipe()
            worker = fork.Process(target=training_set, args=(home, features, rows, there))
            worker.start()
            seconds, cpu, peak, before = here.recv()
            worker.join()
            print(f"  {name:<24} {seconds:6.1f} s, {cpu:6.1f} CPU s, peak {peak:.2f} GiB ({before:.2f} before it)")


if __name__ == "__main__":
    main()
