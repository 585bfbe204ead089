"""Rank slices of one global batch on gloo workers: workers.py FOLDER PREPARED NEIGHBOURS CONFIG WORKERS...

Writes FOLDER/<workers>-<rank>.pt for each world size: the losses of the rank's rows and the gradients that all share.
"""

import dataclasses
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import torch
import torch._dynamo
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from model.config import Config, clip_baseline
from model.config.overrides import override
from model.errors import TrainingError
from model.training import loop
from model.training.dataset import TrainingSet, load_training_set
from model.training.gradient_cache import cached_backward
from model.training.losses import Temperature, sigmoid_loss, softmax_loss
from model.training.objective import PinClip
from model.training.precision import Working
from model.training.sampling import training_batches
from model.training.snapshot import Snapshot

LOSSES = {"sigmoid": sigmoid_loss, "softmax": softmax_loss}


def pair_gradients(given: dict[str, torch.Tensor], rank: int, workers: int) -> dict[str, torch.Tensor]:
    """Of each loss on this rank's rows: the loss, and the gradient of x and y rows and of the temperature."""
    rows = len(given["x"]) // workers
    mine, results = slice(rank * rows, (rank + 1) * rows), {}
    for name, loss in LOSSES.items():
        x, y = (given[key][mine].clone().requires_grad_() for key in ("x", "y"))
        temperature = Temperature(rows * workers)
        value = loss(x, y, given["labels"][mine], temperature)
        value.backward()
        shared = torch.stack([temperature.log_scale.grad, temperature.bias.grad])
        if workers > 1:
            dist.all_reduce(shared)
        results |= {f"{name}.loss": value.detach(), f"{name}.x": x.grad / workers, f"{name}.y": y.grad / workers}
        results[f"{name}.temperature"] = shared / workers
    return results


def task_gradients(training_set, config: Config, rank: int, workers: int) -> dict[str, torch.Tensor]:
    """The whole task on a real batch, PinCLIP's, CLIP's and beside anchors: losses of this rank's rows, every
    parameter's gradient."""
    results = {}
    compatible = override(config, {"train": {"compatible_with": "1"}}), anchored(training_set, config.fusion.dim)
    tasks = {"pinclip": (config, training_set), "clip": (clip_baseline(config), training_set), "compatible": compatible}
    for name, (settings, data) in tasks.items():
        for step in (plain_step, cached_step):
            found = step(data, settings, rank, workers)
            for kind, values in found.items():
                results |= {f"{kind}.{name}.{step.__name__}.{key}": value for key, value in values.items()}
    return results


def anchored(training_set: TrainingSet, dim: int) -> TrainingSet:
    """With a random former vector for every Pin but each fifth."""
    vectors = np.random.default_rng(0).normal(size=(len(training_set), dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[::5] = 0
    return dataclasses.replace(training_set, anchors=vectors.astype(np.float16))


def plain_step(training_set, config: Config, rank: int, workers: int) -> dict[str, dict[str, torch.Tensor]]:
    torch.manual_seed(config.seed)
    task = PinClip(config)
    parallel = DistributedDataParallel(task) if workers > 1 else task
    losses = parallel(next(training_batches(training_set, config, 3, 4, rank, workers)))
    losses["loss"].backward()
    return _found(task, losses)


def cached_step(training_set, config: Config, rank: int, workers: int) -> dict[str, dict[str, torch.Tensor]]:
    """Gradient caching, five Pins at once."""
    torch.manual_seed(config.seed)
    task = PinClip(config)
    batch = next(training_batches(training_set, config, 3, 4, rank, workers))
    return _found(task, cached_backward(Working(task, torch.float32), batch, 5))


def _found(task: PinClip, losses: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    gradients = {name: p.grad.clone() for name, p in task.named_parameters() if p.requires_grad}
    return {"task": {name: value.detach() for name, value in losses.items()}, "gradient": gradients}


def refuse_different_starts(rank: int, workers: int, config: Config) -> None:
    """The first worker has seen a snapshot of step 7, the others none: each of them says so."""
    snapshot = Snapshot(Path("shared"), config)
    loop.check_same_start(7, workers, snapshot)
    try:
        loop.check_same_start(0 if rank else 7, workers, snapshot)
    except TrainingError as error:
        assert "do not see the same snapshot shared (they would begin at the steps [7, 0" in str(error)
    else:
        raise AssertionError("nobody objected")


def work(rank: int, workers: int, folder: Path, training_set, config: Config) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet-{workers}", rank=rank, world_size=workers)
    refuse_different_starts(rank, workers, config)
    results = pair_gradients(torch.load(folder / "given.pt"), rank, workers)
    torch.save(results | task_gradients(training_set, config, rank, workers), folder / f"{workers}-{rank}.pt")
    dist.destroy_process_group()


def main() -> None:
    folder, prepared, neighbours, settings = map(Path, sys.argv[1:5])
    config = Config.from_json(settings.read_text())
    training_set, _ = load_training_set(prepared, neighbours, config)
    fork = multiprocessing.get_context("fork")  # torch and its _dynamo are imported once for all of them
    for workers in map(int, sys.argv[5:]):
        ranks = [fork.Process(target=work, args=(r, workers, folder, training_set, config)) for r in range(workers)]
        for process in ranks:
            process.start()
        for process in ranks:
            process.join()
        if any(process.exitcode for process in ranks):
            sys.exit(f"A worker of {workers} failed.")


if __name__ == "__main__":
    main()
