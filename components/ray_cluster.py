"""The Ray that a command's tasks run on: the cluster of RAY_ADDRESS, or one of our own for as long as they run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Of every worker: one thread, and one that waits sleeps at once; spinning starves the other workers.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "1000",
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}


@contextmanager
def ray_cluster(places: int | None = None) -> Iterator[int]:
    """Yields how many tasks of one CPU run at a time: `places`, else as many as there are CPUs."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    environment = {"env_vars": ENVIRONMENT}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(logging_level="error", ignore_reinit_error=True, runtime_env=environment)
        yield places or max(int(ray.cluster_resources().get("CPU", 1)), 1)
        return
    places = places or os.cpu_count() or 1
    ray.init(
        num_cpus=places,
        include_dashboard=False,
        logging_level="error",
        runtime_env=environment,
        _system_config={"worker_niceness": 0},
    )
    try:
        yield places
    finally:
        ray.shutdown()
