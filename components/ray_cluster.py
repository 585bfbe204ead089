"""The Ray that a command works on: the cluster of RAY_ADDRESS, or one of our own for as long as it works.

The nodes of a cluster must all see the folders that are read and written.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from model.cpus import cpus
from model.errors import RunError

# Of every worker: one thread, and one that waits sleeps at once; spinning starves the other workers.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "1000",
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}

WAIT = 10.0  # seconds that a cluster has to answer
STARTS = 3  # Ray gives itself half a minute for one, which a busy machine may not have


def has_cluster() -> bool:
    return bool(os.environ.get("RAY_ADDRESS"))


@contextmanager
def ray_cluster(places: int | None = None, log: bool = False) -> Iterator[int]:
    """Yields how many tasks of one CPU run at a time: `places`, else as many as there are CPUs.

    With `log`, what workers print is printed here.

    Raises:
        RunError: the cluster of RAY_ADDRESS does not answer, or Ray has not started in STARTS tries: the machine is
            overloaded.
    """
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    common = {"logging_level": "error", "log_to_driver": log, "runtime_env": {"env_vars": ENVIRONMENT}}
    if has_cluster():
        _knock(os.environ["RAY_ADDRESS"])
        _start(common, starts=1)
    else:
        places = places or cpus()
        ours = {"address": "local", "num_cpus": places, "include_dashboard": False}
        ours["_system_config"] = {"worker_niceness": 0}  # this work is what the machine is for now
        _start(common | ours, STARTS)
    try:
        yield places or max(int(ray.cluster_resources().get("CPU", 1)), 1)
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Ray itself asks for minutes where nobody answers."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not port.isdecimal():
        return  # "auto": Ray finds out where
    try:
        socket.create_connection((host, int(port)), timeout=WAIT).close()
    except OSError as error:
        raise RunError(
            f"Nobody answers at RAY_ADDRESS={address} ({error}); check that the cluster is up, or unset RAY_ADDRESS."
        ) from None


def _start(settings: dict[str, Any], starts: int) -> None:
    """What a start in vain leaves behind goes with this process."""
    import ray

    for left in reversed(range(starts)):
        try:
            ray.init(**settings)
            return
        except Exception as error:  # Ray has no narrower one
            ray.shutdown()
            if left:
                continue
            mend = "check the cluster of RAY_ADDRESS" if has_cluster() else "close what else keeps this machine busy"
            raise RunError(f"Ray did not start ({str(error).split('.')[0]}); {mend} and try again.") from error
