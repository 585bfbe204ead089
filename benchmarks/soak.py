"""Mixed traffic against the service while things go wrong, and what is lost: nothing that was acknowledged may be.

    python benchmarks/soak.py                   # 30 minutes
    python benchmarks/soak.py --minutes 10 --rate 10 --folder /tmp/soak

A full disk is a real one where --folder lies on a small file system (mount -t tmpfs -o size=2g tmpfs /tmp/soak).

Publishes two spaces of drawn Pins with a tiny model in a home of its own (Redis, MLflow on SQLite), serves both on a
real Ray Serve and sends new Pins, changed Pins, related Pins, searches, reranks and requests that must be refused.
The faults of soak_faults.py come one after the other, spread over the time. At the end it looks for every Pin that was
acknowledged in the service, in the online store, and in the files of a service that is stopped and opened again; and
for those that were refused, which must be in no index.

Prints requests, answers by kind, p50 and p99, errors by the fault during which they came, and resident memory over
time. The exit code is 1 where an acknowledged Pin is lost or not as it was acknowledged, a refused one is found, a
request that must be refused was not, or the service did not come back. Bounded by --minutes and 10 more.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from feature_home import redis_server  # noqa: E402  from tests/
from soak_faults import FAULTS, Soaked  # noqa: E402
from soak_traffic import QUIET, Traffic  # noqa: E402

from serving.features import Features  # noqa: E402
from serving.service.metrics import ServiceMetrics  # noqa: E402
from serving.service.space import PinSpace  # noqa: E402

SPARE_S = 600  # for the start, the last fault and the search for what was acknowledged
AT_ONCE = 1_000  # Pins of one look into a store
Read = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]  # ids -> vectors, and which are missing


def main(options: argparse.Namespace) -> int:
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(int(options.minutes * 60) + SPARE_S)
    with tempfile.TemporaryDirectory(dir=options.folder) as name, redis_server(Path(name) / "redis") as redis:
        os.environ["PINCLIP_REDIS"] = redis.address
        soaked = Soaked(Path(name), redis)
        try:
            traffic = Traffic(soaked, options.clients, options.rate, options.seed)
            soak(soaked, traffic, options.minutes * 60)
            problems = traffic.report()
            problems += checked_in_the_service(soaked, traffic)
            soaked.process.stop()
            problems += checked_in_files(soaked, traffic)
        finally:
            soaked.end()
    print("\n".join(problems) or "Nothing that was acknowledged is lost.")
    return 1 if problems else 0


def soak(soaked: Soaked, traffic: Traffic, seconds: float) -> None:
    """Runs the traffic for so long, and the faults one after the other."""
    started = time.monotonic()
    with traffic.running():
        for number, fault in enumerate(FAULTS, 1):
            _sleep_until(started + seconds * number / (len(FAULTS) + 1))
            traffic.during = fault.__name__
            print(f"{(time.monotonic() - started) / 60:5.1f} min  {fault.__name__}", flush=True)
            fault(soaked)
            soaked.wait_until_ready()
            traffic.during = QUIET
        _sleep_until(started + seconds)
    print("minute   replica MiB   all processes MiB")
    for at, replica, everything in soaked.memory[:: max(len(soaked.memory) // 20, 1)]:
        print(f"{(at - started) / 60:6.1f} {replica / 2**20:13.0f} {everything / 2**20:19.0f}")


def checked_in_the_service(soaked: Soaked, traffic: Traffic) -> list[str]:
    """What the running service does not answer for, as sentences."""
    lost = list[str]()
    for files in soaked.files:
        ids = [pin_id for space, pin_id in traffic.acknowledged if space == files.name]
        for start in range(0, len(ids), AT_ONCE):  # a rerank says which of its candidates have no vector
            candidates = [{"pin_id": pin_id, "utility": 0.0} for pin_id in ids[start : start + AT_ONCE]]
            answer = soaked.process.post(f"/v1/rerank?space={files.name}", {"candidates": candidates, "slots": 1})
            missing = answer.json()["missing"]
            lost += [f"{i} of {files.name}: acknowledged, and the service has no such Pin" for i in missing]
    lost += [f"{pin_id}: a stranger's whole line of a journal was not followed" for pin_id in soaked.not_followed()]
    return lost


def checked_in_files(soaked: Soaked, traffic: Traffic) -> list[str]:
    """What the online store and the files of the stopped service lack, or have although it was refused."""
    problems = list[str]()
    for files in soaked.files:
        online = Features.of(files.feast_home / "feature_store.yaml")
        index = PinSpace.open(files, ServiceMetrics(), threads=1).index
        problems += _compared(
            f"the online store of {files.name}", partial(online.pin_vectors, space=files.name), traffic
        )
        problems += _compared(f"the index of {files.name}", index.vectors, traffic)
    return problems


def _compared(store: str, read: Read, traffic: Traffic) -> list[str]:
    known = {pin_id: vector for (space, pin_id), vector in traffic.acknowledged.items() if store.endswith(f" {space}")}
    ids, refused = list(known), sorted(traffic.refused)
    vectors_NE, missing_N = _all(read, ids)
    lost = [ids[place] for place in np.flatnonzero(missing_N)]
    sure = [place for place, pin_id in enumerate(ids) if pin_id not in traffic.unsure and not missing_N[place]]
    changed = [ids[place] for place in sure if not np.allclose(vectors_NE[place], known[ids[place]], atol=1e-6)]
    found = [refused[place] for place in np.flatnonzero(~_all(read, refused)[1])]
    print(f"{store}: {len(ids):,} Pins acknowledged, {len(lost)} of them lost, {len(changed)} of another vector")
    print(f"{store}: {len(refused):,} Pins refused, {len(found)} of them found")
    said = {"is acknowledged and not in": lost, "has another vector in": changed, "was refused and is in": found}
    return [f"{pin_id} {says} {store}" for says, some in said.items() for pin_id in some]


def _all(read: Read, ids: list[str]) -> tuple[np.ndarray, np.ndarray]:
    parts = [read(ids[start : start + AT_ONCE]) for start in range(0, len(ids), AT_ONCE)]
    if not parts:
        return np.empty((0, 0)), np.empty(0, dtype=bool)
    vectors, missing = zip(*parts, strict=True)
    return np.concatenate(vectors), np.concatenate(missing)


def _sleep_until(moment: float) -> None:
    time.sleep(max(moment - time.monotonic(), 0))


def _too_long(*_: object) -> None:
    raise TimeoutError("The soak took longer than its --minutes and ten more.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=20, help="requests a second, of all clients together")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the home and the logs are made [TMPDIR]")
    sys.exit(main(parser.parse_args()))
