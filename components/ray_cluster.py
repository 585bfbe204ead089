"""The Ray that a command's tasks run on: the cluster of RAY_ADDRESS, or one of our own for as long as they run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from model.errors import RunError

# Of every worker: one thread, and one that waits sleeps at once; spinning starves the other workers.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "1000",
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextmanager
def ray_cluster(places: int | None = None) -> Iterator[int]:
    """Yields how many tasks of one CPU run at a time: `places`, else as many as there are CPUs.

    Raises:
        RunError: Ray does not start within the half minute that it gives itself: the machine is overloaded.
    """
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    common = {"logging_level": "error", "log_to_driver": False, "runtime_env": {"env_vars": ENVIRONMENT}}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**common, ignore_reinit_error=True)
        yield places or max(int(ray.cluster_resources().get("CPU", 1)), 1)
        return
    places = places or os.cpu_count() or 1
    try:
        ray.init(**common, num_cpus=places, include_dashboard=False, _system_config={"worker_niceness": 0})
    except Exception as error:  # Ray has no narrower one
        ray.shutdown()
        raise RunError(
            f"Ray did not start ({str(error).split('.')[0]}); close what else keeps this machine busy and try again."
        ) from error
    try:
        yield places
    finally:
        ray.shutdown()
