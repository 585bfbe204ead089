"""A run killed in the middle of training goes on from its snapshot when the same command is given again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny import TINY, walked_catalogue

from components.configuration import load
from components.ray.snapshots import KEPT, snapshot_file
from components.settings import Settings
from model.config import TRAINED
from model.training.snapshot import Snapshot

HERE = Path(__file__).parents[1]
EVERY = 5  # steps between two snapshots
SETTINGS = (*TINY, "train.epochs=40", f"train.checkpoint_steps={EVERY}")
CONFIG = load("smoke", SETTINGS)


@pytest.fixture
def root(tmp_path):
    """A folder with prepared/ and neighbours/ of 200 generated Pins."""
    walked_catalogue(tmp_path, CONFIG)
    return tmp_path


def start(root: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(HERE), "PINCLIP_HOME": str(root / "home")}
    command = [sys.executable, str(HERE / "run_train_step.py"), str(root), CONFIG.to_json()]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_same_command_goes_on_where_the_killed_one_was(root):
    file = snapshot_file("train", CONFIG, {}, Settings(home=root / "home"))
    killed = start(root)
    while not file.is_file():
        assert killed.poll() is None, killed.stdout.read()
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    step = wait_for_silence(file)
    again = start(root)
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said
    steps = [json.loads(line)["step"] for line in (root / "curves.jsonl").read_text().splitlines()]
    assert steps == list(range(1, steps[-1] + 1))
    assert EVERY <= step < steps[-1]
    events = [json.loads(line) for line in (root / "events.jsonl").read_text().splitlines()]
    first = next(event for event in events if event["event"] == "progress" and event["step"] == "train")
    assert first["fraction"] == pytest.approx((step + 1) / steps[-1])
    assert list(file.parent.iterdir()) == []  # a finished training leaves none


def wait_for_silence(file: Path) -> int:
    """The snapshot's step once what the killed run had started has died too."""
    snapshot, step = Snapshot(file, CONFIG), 0
    while step != (step := snapshot.kept_step()):
        time.sleep(2)
    return step


def test_a_snapshot_that_nobody_came_back_for_goes_after_a_week(tmp_path):
    settings = Settings(home=tmp_path)
    old, new = (snapshot_file(name, CONFIG, {}, settings) for name in ("old", "new"))
    old.parent.mkdir()
    for file, age in ((old, KEPT + 60), (new, KEPT - 60)):
        file.touch()
        os.utime(file, (time.time() - age,) * 2)
    assert snapshot_file("train", CONFIG, {}, settings).parent == tmp_path / "snapshots"
    assert list(old.parent.iterdir()) == [new]


def test_a_snapshot_is_found_again_whatever_the_gate_and_only_by_the_same_data_code_and_training(tmp_path):
    settings, data = Settings(home=tmp_path), {"digest": "d", "git_rev": "r"}
    first = snapshot_file("train", CONFIG, data, settings)
    for other in ("gate.min_retention=0.5", "evaluation.max_queries=7", "quantization.bits=4", "monitoring.pins=9"):
        assert snapshot_file("train", load("smoke", [*SETTINGS, other]), data, settings) == first
    others = [
        snapshot_file("train-baseline", CONFIG, data, settings),
        snapshot_file("train", CONFIG, data | {"digest": "e"}, settings),
        snapshot_file("train", CONFIG, data | {"git_rev": "s"}, settings),
        *(snapshot_file("train", load("smoke", [*SETTINGS, one]), data, settings) for one in ("seed=1", "graph.top=3")),
    ]
    assert len({first, *others}) == 6


def test_a_snapshot_that_is_passed_over_is_said_with_the_setting_that_differs(tmp_path, caplog):
    settings, data = Settings(home=tmp_path), {"digest": "d", "git_rev": "r"}
    file = snapshot_file("train", CONFIG, data, settings)
    file.parent.mkdir()
    metadata = {"config": CONFIG.only(TRAINED).to_json(), "step": "5", "curves": "[]"}
    save_file({"task.w": torch.zeros(1)}, str(file), metadata)
    snapshot_file("train", CONFIG, data, settings)
    assert caplog.messages == []
    snapshot_file("train", load("smoke", [*SETTINGS, "train.epochs=41"]), data, settings)
    snapshot_file("train", CONFIG, data | {"git_rev": "s"}, settings)
    assert caplog.messages == [
        f"The snapshot {file} is passed over: train.epochs is 40 there and 41 here.",
        f"The snapshot {file} is passed over: it was made by another revision of the code.",
    ]
