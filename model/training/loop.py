"""Train PinCLIP:  pinclip run --catalogue C --profile demo

fit() is what one worker runs. Alone it is the whole training; under torch.distributed every worker runs it on its
rows of the same global batches, and the first one writes.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from model.config import Config, TrainConfig
from model.config.overrides import override
from model.errors import TrainingError
from model.extraction.reading import Extraction
from model.files import write_text
from model.network.checkpoint import count_parameters, save_model
from model.training.compute import prepare_blocks
from model.training.dataset import TrainingSet, load_training_set
from model.training.gradient_cache import cached_backward
from model.training.losses import world
from model.training.objective import PinClip, on
from model.training.optimizer import Optimizers, optimizer_for
from model.training.precision import Working, training_dtype
from model.training.sampling import Batch, steps_per_epoch, training_batches
from model.training.snapshot import Snapshot

ReportStep = Callable[[dict[str, Any]], None]


def fit(
    prepared: Path,
    neighbours: Path,
    out: Path,
    config: Config,
    report: ReportStep,
    snapshot_file: Path | None = None,
    extracted: Path | None = None,
    anchors: Path | None = None,
) -> dict[str, Any]:
    """Trains on the training Pins and writes the model folder `out`: weights, config, tokenizer, curves.jsonl.

    Without any neighbours only images and texts are aligned.
    A fit that was killed goes on from its last snapshot, on the same batches; it is kept in `snapshot_file`, left out:
    beside `out`. `extracted`: extraction.json of frozen towers (model/extraction/extract.py). `anchors`: the vectors of
    the version that train.compatible_with names (model/training/anchors.py).

    Raises:
        ModelError: a pretrained tower cannot be used, or what is kept of it is not there.
        TrainingError: the batch is larger than the data, workers do not divide it or do not see the same snapshot, or
            a loss is not finite, or train.compatible_with is asked for without anchors or without fusion.
    """
    rank, workers = world()
    torch.manual_seed(config.seed)
    extraction = Extraction.read(extracted)
    training_set, tokenizer = load_training_set(prepared, neighbours, config, extraction, anchors)
    _check(training_set, config, workers)
    _check_compatible(training_set, config)
    if not training_set.has_neighbours():  # images and texts alone; the validation page says that boards are missing
        config = override(config, {"objective": {"neighbour": 0.0}})
    device = torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    task = PinClip(config).to(device)
    extraction.check(*task.encoder.kept_towers())
    optimizer = optimizer_for(task, config.train)
    total = config.train.epochs * steps_per_epoch(training_set, config)
    snapshot = Snapshot(snapshot_file or out.parent / f".{out.name}.snapshot.safetensors", config)
    first, curves = snapshot.restore(task, optimizer)
    check_same_start(first, workers, snapshot)
    working = Working(task, training_dtype(config.train))
    prepare_blocks(working.task, config.train)
    micro_batch = config.train.micro_batch  # which averages its gradients itself
    parallel = DistributedDataParallel(working.task) if workers > 1 and not micro_batch else working.task
    clock = time.monotonic()
    for step, batch, waited in _ahead(training_batches(training_set, config, first, total, rank, workers), first):
        rate = set_learning_rate(optimizer, config.train, step, total)
        losses = train_step(parallel, working, optimizer, on(device, batch), micro_batch)
        if not math.isfinite(losses["gradient_norm"]):
            raise TrainingError(_not_finite(step, snapshot))
        seconds, clock = time.monotonic() - clock, time.monotonic()
        curves.append(_point(step, total, losses | {"learning_rate": rate}, config, seconds, waited))
        if rank == 0:
            report({**curves[-1], "fraction": (step + 1) / total})
            if (step + 1) % config.train.checkpoint_steps == 0:
                snapshot.save(task, optimizer, step + 1, curves)
    if rank == 0:
        save_model(out, task.encoder, tokenizer)
        write_text(out / "curves.jsonl", "".join(json.dumps(point) + "\n" for point in curves))
        snapshot.discard()
    return {"steps": total, "parameters": count_parameters(task.encoder), "pins": len(training_set), **curves[-1]}


def train_step(
    task: nn.Module, working: Working, optimizer: Optimizers, batch: Batch, micro_batch: int = 0
) -> dict[str, float]:
    """One step on one batch; the losses of this worker's rows and the norm of the gradient of all.

    With `micro_batch`, that many Pins pass the network at once (model/training/gradient_cache.py).

    If the norm, the same for every worker, is not finite, no weight changes.
    """
    optimizer.zero_grad()
    if micro_batch:
        losses = cached_backward(working, batch, micro_batch)
    else:
        losses = task(batch)
        losses["loss"].backward()
        working.hand_over_gradients()
    losses["gradient_norm"] = nn.utils.clip_grad_norm_(optimizer.parameters(), 1.0)
    if torch.isfinite(losses["gradient_norm"]):
        optimizer.step()
        working.take_weights()
    return {name: value.item() for name, value in losses.items()}


def _check(training_set: TrainingSet, config: Config, workers: int) -> None:
    size = config.train.batch_size
    if size > len(training_set):
        raise TrainingError(
            f"train.batch_size is {size}, but there are {len(training_set)} training Pins; choose a smaller batch."
        )
    if size % (2 * workers):
        raise TrainingError(f"train.batch_size {size} does not divide by 2 x {workers} workers; choose a multiple.")


def _check_compatible(training_set: TrainingSet, config: Config) -> None:
    version = config.train.compatible_with
    if version and training_set.anchors is None:
        raise TrainingError(
            f"train.compatible_with is {version}, and only `pinclip run`, `submit` and schedules know the vectors of "
            "versions; leave the key out here."
        )
    if version and not config.objective.compatible:
        raise TrainingError(
            f"train.compatible_with is {version}, and objective.compatible, the weight of its loss, is 0; set it "
            "above 0."
        )
    if version and not config.objective.trains_fusion:
        raise TrainingError(
            "train.compatible_with needs a fused vector, which no loss trains; set objective.text_fused above 0."
        )


def check_same_start(first: int, workers: int, snapshot: Snapshot) -> None:
    """Raises TrainingError unless all workers start at the same step; otherwise they would wait for each other for
    ever."""
    starts = [first] * workers
    if workers > 1:
        dist.all_gather_object(starts, first)
    if len(set(starts)) > 1:
        raise TrainingError(
            f"The workers do not see the same snapshot {snapshot.path} (they would begin at the steps {starts}); "
            "choose a folder that all nodes share, PINCLIP_HOME in a pipeline."
        )


def set_learning_rate(optimizer: Optimizers, config: TrainConfig, step: int, total: int) -> float:
    """Linear warm-up, then half a cosine down to zero."""
    warmup = max(round(config.warmup * total), 1)
    ramp = min((step + 1) / warmup, 1.0)
    decay = 0.5 * (1 + math.cos(math.pi * max(step - warmup, 0) / max(total - warmup, 1)))
    rate = config.learning_rate * ramp * decay
    optimizer.set_learning_rate(rate)
    return rate


def _ahead(items: Iterator[Batch], first: int) -> Iterator[tuple[int, Batch, float]]:
    """(step, batch, seconds waited for it), the next batch read while the step computes."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        step, asked = first, time.monotonic()
        while (batch := coming.result()) is not None:
            waited = time.monotonic() - asked
            coming = pool.submit(next, items, None)
            yield step, batch, waited
            step, asked = step + 1, time.monotonic()


def _point(
    step: int, total: int, figures: dict[str, float], config: Config, seconds: float, waited: float
) -> dict[str, Any]:
    return {
        "step": step + 1,
        "epoch": round(config.train.epochs * (step + 1) / total, 3),
        **{name: float(f"{value:.6g}") for name, value in figures.items()},
        "images_per_s": round(config.train.batch_size / seconds, 1),
        "waiting_share": round(waited / seconds, 4),  # of the step's time, for its batch
    }


def _not_finite(step: int, snapshot: Snapshot) -> str:
    kept = snapshot.kept_step()
    rest = f"the snapshot of step {kept} is kept" if kept else "no snapshot was due yet"
    fix = "lower train.learning_rate or set train.precision=fp32"
    return f"Loss or gradient is not finite at step {step + 1}; {rest}; {fix}."
