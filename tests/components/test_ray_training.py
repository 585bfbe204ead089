"""Ray Train runs the same fit: two workers leave one model, a dead one is replaced, a mistake is one sentence."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from components import progress, ray_training
from model import neighbourhood, pixels
from model.catalogue import Catalogue
from model.config import load
from model.errors import TrainingError
from model.overrides import override
from model.preparation import prepare
from model.sources.synthetic import SyntheticConfig, generate
from model.training import fit

TINY = (
    "vision.image_size=32",
    "vision.width=32",
    "text.width=32",
    "text.vocabulary=400",
    "fusion.dim=32",
    "fusion.prefixes=16,32",
    "train.batch_size=32",
    "train.epochs=1",
    "train.precision=fp32",
    "train.checkpoint_steps=2",
)
CONFIG = load("smoke", TINY)


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The folders (prepared, neighbours) of 200 generated Pins."""
    root = tmp_path_factory.mktemp("tiny")
    generate(SyntheticConfig(pins=200, boards=40, image_size=32), root / "catalogue")
    prepare(Catalogue(root / "catalogue"), root / "prepared", CONFIG.prepare)
    pixels.decode_catalogue(Catalogue(root / "prepared" / "catalogue"), CONFIG, root / "prepared" / "pixels.u8")
    neighbourhood.build(root / "prepared", root / "neighbours", CONFIG)
    return root / "prepared", root / "neighbours"


@pytest.fixture(scope="module")
def alone(tmp_path_factory, walked):
    """(result, model folder) of the training in this process."""
    folder = tmp_path_factory.mktemp("alone") / "model"
    return fit(*walked, folder, CONFIG, lambda point: None), folder


def differ(one: Path, two: Path) -> float:
    """The largest difference between two models' weights."""
    first, second = (load_file(folder / "model.safetensors") for folder in (one, two))
    return max((first[name] - second[name]).abs().max().item() for name in first)


def test_two_workers_leave_one_model_even_if_one_dies(tmp_path, monkeypatch, walked, alone):
    """The first worker dies once after step 3: both start again from the snapshot of step 2."""
    import ray

    log, events = tmp_path / "log", tmp_path / "events.jsonl"
    monkeypatch.setenv(progress.EVENTS, str(events))

    def die_once(point):
        before = log.read_text().split() if log.is_file() else []
        log.write_text(" ".join([*before, str(point["step"])]))
        progress.advance_training(point)
        if point["step"] == 3 and "3" not in before:
            os._exit(1)

    out = tmp_path / "out" / "model"
    with progress.step("train"):
        two = override(CONFIG, {"train": {"workers": 2}})
        result = ray_training.train(*walked, out, two, die_once)
    assert not ray.is_initialized()
    steps = list(range(1, alone[0]["steps"] + 1))
    assert list(map(int, log.read_text().split())) == [1, 2, 3, *steps[2:]]
    check_outcome(result, out, alone)
    said = [json.loads(line) for line in events.read_text().splitlines()]
    assert {event["step"] for event in said} == {"train"}
    assert [event["event"] for event in said if event["event"] != "progress"] == ["start", "end"]
    assert said[-2]["fraction"] == 1.0


def check_outcome(result: dict, out: Path, alone: tuple[dict, Path]) -> None:
    """One whole model folder with its curves, nothing beside it, and the weights of the training in one process."""
    assert [path.name for path in out.parent.iterdir()] == ["model"]
    files = {"model.safetensors", "config.json", "tokenizer.json", "curves.jsonl"}
    assert {path.name for path in out.iterdir()} == files
    curves = [json.loads(line) for line in (out / "curves.jsonl").read_text().splitlines()]
    assert [point["step"] for point in curves] == list(range(1, result["steps"] + 1))
    assert all(result[name] == alone[0][name] for name in ("steps", "pins", "parameters"))
    assert differ(out, alone[1]) < 1e-3


def test_a_mistake_comes_out_as_its_sentence(tmp_path, walked):
    large = override(CONFIG, {"train": {"batch_size": 512}})
    with pytest.raises(TrainingError, match=r"^train\.batch_size is 512, but there are \d+ training Pins; choose"):
        ray_training.train(*walked, tmp_path / "model", large, print)
    assert list(tmp_path.iterdir()) == []


def test_the_death_of_what_watches_over_the_workers_is_a_sentence(tmp_path, walked):
    """Ray Train's controller, an actor of its own, is killed while the worker trains."""
    import ray

    def kill_the_controller(point):
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # a process that has ended
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                if parent == os.getppid() and b"TrainController" in (stat.parent / "cmdline").read_bytes():
                    os.kill(int(stat.parent.name), signal.SIGKILL)
                    time.sleep(600)

    with pytest.raises(TrainingError, match=r"^The training workers died: .* and give the same command again"):
        ray_training.train(*walked, tmp_path / "model", CONFIG, kill_the_controller)
    assert not ray.is_initialized()


def test_a_cluster_that_is_too_small_is_said_before_anybody_waits():
    with pytest.raises(TrainingError, match=r"has 3 CPUs and the training needs 4 .* lower train\.workers"):
        ray_training.check_cpus(needed=4, present=3)
    ray_training.check_cpus(needed=4, present=4)
