"""Training on Ray: one worker or many run the same `fit` (model/training/loop.py), on one machine or on a cluster.

With RAY_ADDRESS set the workers run on that cluster; a node that is lost costs a restart from the last snapshot, as a
worker that dies does. Without it several workers get a small Ray that is started for this training and ended with it.
One worker needs none: `fit` runs in this process, twelve seconds sooner (docs/results.md, Starts).
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import progress
from components.ray.cluster import has_cluster, ray_cluster
from model.config import Config
from model.cpus import cpus
from model.errors import PinclipError, TrainingError

# What says it: Ray's memory monitor of a process that it has killed, torch of a CPU's memory, and of a GPU's.
OUT_OF_MEMORY = ("running low on memory", "can't allocate memory", "out of memory")
ReportStep = Callable[[dict[str, Any]], None]

STARTING = "600"  # seconds


@dataclass(frozen=True)
class WorkerInput:
    """The input of every worker, pickled by value."""

    prepared: Path
    neighbours: Path
    out: Path
    config: Config
    report: ReportStep
    step: str
    events: str | None
    snapshot: Path | None
    extracted: Path | None
    anchors: Path | None


def train(
    prepared: Path,
    neighbours: Path,
    out: Path,
    config: Config,
    report: ReportStep,
    snapshot: Path | None = None,
    extracted: Path | None = None,
    anchors: Path | None = None,
) -> dict[str, Any]:
    """Trains with config.train.workers; `report` is called in the first one.

    `snapshot`, `extracted` and `anchors` are those of model.training.loop.fit.

    Raises:
        PinclipError: what model.training.loop.fit raises.
        TrainingError: the cluster is too small, workers died more often than train.max_failures, or what watches
            over them died.
    """
    folders = prepared.absolute(), neighbours.absolute(), out.absolute()
    events = os.environ.get(progress.EVENTS)
    work = WorkerInput(*folders, config, report, progress.current_step(), events, snapshot, extracted, anchors)
    if config.train.workers == 1 and not has_cluster():
        return _in_this_process(work)
    result = _on_ray(work)
    if "refusal" in result:
        raise result["refusal"]
    return result


def _in_this_process(work: WorkerInput) -> dict[str, Any]:
    import torch

    if "OMP_NUM_THREADS" not in os.environ:  # torch counts cores, not the CPUs that this process may use
        torch.set_num_threads(cpus())
    try:
        return _fit(work)
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise TrainingError(failure_reason(error)) from error
        raise


def _on_ray(work: WorkerInput) -> dict[str, Any]:
    import ray.train
    from ray.train.torch import TorchTrainer

    # Ray restarts workers that need more than 60 s to import torch; on busy cores that would repeat for ever.
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", STARTING)
    if not has_cluster():  # one more process would wait for the notice that nodes of a cloud get before they go
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    asked, needed = work.config.train, cpus_needed(work.config)
    with ray_cluster(max(cpus(), needed), log=True), ray_train_folder(work.out) as scratch:
        check_cpus(needed, int(ray.cluster_resources().get("CPU", 0)))
        trainer = TorchTrainer(
            _worker,
            train_loop_config={"work": work},
            scaling_config=ray.train.ScalingConfig(
                num_workers=asked.workers,
                use_gpu=ray.cluster_resources().get("GPU", 0) >= asked.workers,
                resources_per_worker={"CPU": asked.cpus_per_worker},
            ),
            run_config=ray.train.RunConfig(
                storage_path=scratch, failure_config=ray.train.FailureConfig(max_failures=asked.max_failures)
            ),
        )
        try:
            return dict(trainer.fit().return_value)
        except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
            raise TrainingError(failure_reason(error)) from error


@contextmanager
def ray_train_folder(out: Path) -> Iterator[str]:
    """Where Ray Train keeps its state: on a cluster beside `out`, which all its nodes see, else in /tmp."""
    beside = out.parent if has_cluster() else None
    if beside:
        beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pinclip-ray-", dir=beside) as folder:
        yield folder


def _worker(settings: dict[str, WorkerInput]) -> dict[str, Any]:
    """Runs one worker. A user's mistake is returned as a result, so that Ray does not restart the workers for it."""
    import torch

    work = settings["work"]
    progress.set_current_step(work.step, work.events)
    torch.set_num_threads(_threads())
    try:
        return _fit(work)
    except PinclipError as error:
        return {"refusal": error}


def _fit(work: WorkerInput) -> dict[str, Any]:
    from model.training.loop import fit

    folders = work.prepared, work.neighbours, work.out
    return fit(*folders, work.config, work.report, work.snapshot, work.extracted, work.anchors)


def _threads() -> int:
    """This worker's share of its node; Ray itself gives a worker process one thread.

    A node may be less than its machine: a pod is throttled when it uses more CPUs than it has.
    """
    import ray.train

    here = ray.get_runtime_context().get_node_id()
    (node_cpus,) = (node["Resources"].get("CPU", 1) for node in ray.nodes() if node["NodeID"] == here)
    return max(min(int(node_cpus), cpus()) // ray.train.get_context().get_local_world_size(), 1)


def cpus_needed(config: Config) -> int:
    """CPUs that the training needs of a Ray cluster; with only those of the workers, Ray Train would wait for ever."""
    return config.train.workers * config.train.cpus_per_worker + 1


def check_cpus(needed: int, present: int) -> None:
    """Raises TrainingError for a cluster that is too small, before Ray waits for it."""
    if needed > present:
        raise TrainingError(
            f"The Ray cluster has {present} CPUs and the training needs {needed} (workers x cpus_per_worker + 1); "
            "lower train.workers or train.cpus_per_worker."
        )


def is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)


def failure_reason(error: Exception) -> str:
    if is_out_of_memory(error):
        return (
            "A training worker ran out of memory; give it more and start again: it goes on from the last snapshot. Or "
            "lower train.batch_size, or set train.micro_batch, the Pins that pass the network at once."
        )
    return (
        f"The training workers died: {_last_line(error)} Read the log of the run and give the same command again: it "
        "goes on from the last snapshot."
    )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") + "." if lines else type(error).__name__ + "."
