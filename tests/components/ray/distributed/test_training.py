"""Ray Train runs the same fit: two workers leave one model, a dead one is replaced, a mistake is one sentence."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from components.ray import training
from model.config.overrides import override
from model.errors import TrainingError


def test_two_workers_leave_one_model_even_if_one_dies(interrupted, alone):
    """One whole model folder with its curves, nothing beside it, and the weights of the training in one process."""
    import ray

    assert not ray.is_initialized()
    steps = list(range(1, alone.figures["steps"] + 1))
    assert interrupted.reported == [1, 2, 3, *steps[2:]]
    assert [path.name for path in interrupted.model.parent.iterdir()] == ["model"]
    files = {"model.safetensors", "config.json", "tokenizer.json", "curves.jsonl"}
    assert {path.name for path in interrupted.model.iterdir()} == files
    curves = [json.loads(line) for line in (interrupted.model / "curves.jsonl").read_text().splitlines()]
    assert [point["step"] for point in curves] == steps
    assert all(interrupted.figures[name] == alone.figures[name] for name in ("steps", "pins", "parameters"))
    assert interrupted.differs_from(alone.model) < 1e-3


def test_its_progress_is_that_of_the_step(interrupted):
    said = [json.loads(line) for line in interrupted.events.read_text().splitlines()]
    assert {event["step"] for event in said} == {"train"}
    assert [event["event"] for event in said if event["event"] != "progress"] == ["start", "end"]
    assert said[-2]["fraction"] == 1.0


def test_one_worker_on_one_machine_needs_no_ray(tmp_path, walked, alone, config, monkeypatch):
    """Nor does it wait for others, whatever torchrun has left in the environment."""
    import ray

    group = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost"}
    for name, value in (group | {"MASTER_PORT": "1"}).items():
        monkeypatch.setenv(name, value)
    started, threads = [], torch.get_num_threads()
    out = tmp_path / "out" / "model"
    figures = training.train(*walked, out, config, lambda point: started.append(ray.is_initialized()))
    torch.set_num_threads(threads)
    assert started == [False] * alone.figures["steps"]
    assert figures["parameters"] == alone.figures["parameters"]
    assert alone.differs_from(out) < 1e-3
    assert [path.name for path in out.parent.iterdir()] == ["model"]


def test_want_of_memory_is_a_sentence_and_a_bug_is_not(tmp_path, walked, config):
    def take(point):
        torch.empty(1 << 60, dtype=torch.uint8)

    def slip(point):
        raise RuntimeError("a bug")

    with pytest.raises(TrainingError, match=r"^A training worker ran out of memory; give it more and start again: it"):
        training.train(*walked, tmp_path / "model", config, take)
    with pytest.raises(RuntimeError, match=r"^a bug$"):
        training.train(*walked, tmp_path / "model", config, slip)


@pytest.mark.parametrize("on_cluster", [False, True])
def test_a_mistake_comes_out_as_its_sentence(tmp_path, walked, config, request, on_cluster):
    if on_cluster:
        request.getfixturevalue("nodes")(2)
    large = override(config, {"train": {"batch_size": 512}})
    with pytest.raises(TrainingError, match=r"^train\.batch_size is 512, but there are \d+ training Pins; choose"):
        training.train(*walked, tmp_path / "model", large, print)
    assert list(tmp_path.iterdir()) == []


def test_the_death_of_what_watches_over_the_workers_is_a_sentence(tmp_path, walked, two):
    """Ray Train's controller, an actor of its own, is killed while the workers train."""
    import ray

    def kill_the_controller(point):
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # a process that has ended
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                if parent == os.getppid() and b"TrainController" in (stat.parent / "cmdline").read_bytes():
                    os.kill(int(stat.parent.name), signal.SIGKILL)
                    time.sleep(600)

    with pytest.raises(TrainingError, match=r"^The training workers died: .* and give the same command again"):
        training.train(*walked, tmp_path / "model", two, kill_the_controller)
    assert not ray.is_initialized()


def test_a_cluster_that_is_too_small_is_said_before_anybody_waits():
    with pytest.raises(TrainingError, match=r"has 3 CPUs and the training needs 4 .* lower train\.workers"):
        training.check_cpus(needed=4, present=3)
    training.check_cpus(needed=4, present=4)
