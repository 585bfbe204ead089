"""Trains with two gloo workers: fit_workers.py FOLDER PREPARED NEIGHBOURS CONFIG

The first worker is killed after step 3, and both begin again, as Ray Train has it. The model stands in FOLDER/model,
its figures in figures.json, and the steps that were reported in FOLDER/steps. Compiled blocks are traced and
differentiated, and run without their minutes of C++ compiling (test_compute.py compiles one).
"""

import json
import multiprocessing
import os
import sys
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path

import torch
import torch._dynamo
import torch.distributed as dist

from model.config import Config
from model.training.loop import fit

KILLED_AT = 3
WORKERS = 2


def work(rank: int, tries: int, folder: Path, prepared: Path, neighbours: Path, config: Config) -> None:
    torch.set_num_threads(1)
    torch.compile = partial(torch.compile, backend="aot_eager")
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet-{tries}", rank=rank, world_size=WORKERS)

    def report(point):
        with (folder / "steps").open("a") as file:
            print(point["step"], file=file)
        if (tries, point["step"]) == (1, KILLED_AT):
            os._exit(1)

    figures = fit(prepared, neighbours, folder / "model", config, report)
    if rank == 0:
        (folder / "figures.json").write_text(json.dumps(figures))
    dist.destroy_process_group()


def main() -> None:
    folder, prepared, neighbours, settings = map(Path, sys.argv[1:5])
    config = Config.from_json(settings.read_text())
    fork = multiprocessing.get_context("fork")  # torch and its _dynamo are imported once for all of them
    for tries in (1, 2):
        data = folder, prepared, neighbours, config
        ranks = [fork.Process(target=work, args=(rank, tries, *data)) for rank in range(WORKERS)]
        for process in ranks:
            process.start()
        wait([process.sentinel for process in ranks])
        if any(process.exitcode for process in ranks):  # the other would wait for it
            for process in ranks:
                process.kill()
        for process in ranks:
            process.join()
        if tries == 1 and not (folder / "steps").is_file():
            break  # it did not come so far as to be killed
    sys.exit(any(process.exitcode for process in ranks))


if __name__ == "__main__":
    main()
