"""Training against serving: every feature of every space, offline and online, compared bit for bit.

    python benchmarks/skew.py --home .pinclip --rows 1000

Pins and users are drawn from the rows on disk; a few are made up, and have to be missing on both sides.
"""

import argparse
import random
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from components.settings import Settings
from components.spaces.feature_store import open_store
from components.spaces.offline_rows import shards
from components.spaces.skew import skew


def entities(home: Path, space: str, rows: int, seed: int = 0) -> list[dict[str, str]]:
    """Pairs of a Pin and a user of the space."""
    draw, offline = random.Random(seed), home / "feast" / "offline"
    pins = _ids(offline / f"pin_embedding_{space}", "pin_id")
    users = _ids(offline / f"user_taste_{space}", "user_id")
    return [{"pin_id": draw.choice(pins), "user_id": draw.choice(users)} for _ in range(rows)]


def _ids(folder: Path, key: str) -> list[str]:
    there = {value for shard in shards(folder) for value in pq.read_table(shard, columns=[key])[key].to_pylist()}
    return [*sorted(there), "nobody has this id"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path(".pinclip"))
    parser.add_argument("--rows", type=int, default=1000)
    args = parser.parse_args()
    settings = Settings(home=args.home)
    store = open_store(settings)
    for service in store.list_feature_services():
        asked = entities(settings.home, service.tags["space"], args.rows)
        for feature, differing in sorted(skew(store, service.name, asked, datetime.now(UTC)).items()):
            print(f"{service.name:<18} {feature:<44} {differing:>5} of {args.rows} rows differ")


if __name__ == "__main__":
    main()
