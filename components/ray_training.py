"""Training on Ray: one worker or many run the same model.training.fit, side by side on one machine or on a cluster.

With RAY_ADDRESS set the workers run on that cluster, whose nodes must all see the folders; without it a small Ray is
started for this training and ended with it.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import progress
from model.config import Config
from model.errors import PinclipError, TrainingError

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Work:
    """What every worker is told; it travels by value."""

    prepared: Path
    neighbours: Path
    out: Path
    config: Config
    report: Report
    step: str
    events: str | None
    threads: int


def train(prepared: Path, neighbours: Path, out: Path, config: Config, report: Report) -> dict[str, Any]:
    """Trains with config.train.workers Ray Train workers; `report` is called in the first worker.

    Raises:
        PinclipError: what model.training.fit raises.
        TrainingError: the cluster is too small, or workers died more often than train.max_failures.
    """
    import ray.train
    from ray.train.torch import TorchTrainer

    workers, threads = config.train.workers, max((os.cpu_count() or 1) // config.train.workers, 1)
    events = os.environ.get(progress.EVENTS)
    work = Work(
        prepared.absolute(), neighbours.absolute(), out.absolute(), config, report, progress.current(), events, threads
    )
    with _ray(config), tempfile.TemporaryDirectory(prefix="pinclip-ray-") as scratch:
        trainer = TorchTrainer(
            _worker,
            train_loop_config={"work": work},
            scaling_config=ray.train.ScalingConfig(
                num_workers=workers,
                use_gpu=ray.cluster_resources().get("GPU", 0) >= workers,
                resources_per_worker={"CPU": config.train.cpus_per_worker},
            ),
            run_config=ray.train.RunConfig(
                storage_path=scratch, failure_config=ray.train.FailureConfig(max_failures=config.train.max_failures)
            ),
        )
        try:
            result = trainer.fit().return_value
        except ray.train.TrainingFailedError as error:
            raise TrainingError(f"The training workers died: {_last_line(error)} Read the log of the run.") from error
    if "refusal" in result:
        raise result["refusal"]
    return result


def _worker(settings: dict[str, Work]) -> dict[str, Any]:
    """One worker's life. A user's mistake comes back as a result: it is no reason to start the workers again."""
    import torch

    from model.training import fit

    work = settings["work"]
    progress.speak_for(work.step, work.events)
    torch.set_num_threads(work.threads)  # Ray gives a worker one thread
    try:
        return fit(work.prepared, work.neighbours, work.out, work.config, work.report)
    except PinclipError as error:
        return {"refusal": error}


@contextmanager
def _ray(config: Config) -> Iterator[None]:
    """The cluster of RAY_ADDRESS, or a Ray of our own with a CPU more than the workers take (else Ray Train waits)."""
    import ray

    needed = config.train.workers * config.train.cpus_per_worker + 1
    if os.environ.get("RAY_ADDRESS"):
        ray.init(logging_level="warning", ignore_reinit_error=True)
        _check_cpus(needed, int(ray.cluster_resources().get("CPU", 0)))
        yield
        return
    ray.init(
        num_cpus=max(os.cpu_count() or 1, needed),
        include_dashboard=False,
        logging_level="warning",
        _system_config={"worker_niceness": 0},  # training is what this machine is for now
    )
    try:
        yield
    finally:
        ray.shutdown()


def _check_cpus(needed: int, present: int) -> None:
    if needed > present:
        raise TrainingError(
            f"The Ray cluster has {present} CPUs and the training needs {needed} (workers x cpus_per_worker + 1); "
            "lower train.workers or train.cpus_per_worker."
        )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") + "." if lines else type(error).__name__ + "."
