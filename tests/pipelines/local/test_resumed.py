"""A run killed in the middle of training goes on from its snapshot when the same command is given again.

What it prepared stays on a volume, as on a cluster, and the training reads it there.
"""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny import TINY, tiny_catalogue

from components.configuration import load
from components.prepared_catalogue import FILES
from components.ray.snapshots import KEPT, snapshot_file
from components.settings import Settings
from model.config import TRAINED
from model.data.catalogue import Catalogue
from model.data.preparation import prepare
from model.training.snapshot import Snapshot

HERE = Path(__file__).parents[1]
SMALL = 10_000  # bytes
EVERY = 5  # steps between two snapshots
SETTINGS = (*TINY, "train.epochs=40", f"train.checkpoint_steps={EVERY}")
CONFIG = load("smoke", SETTINGS)


@dataclass(frozen=True)
class Resumed:
    """A run that was killed in the middle of training, and the same command again."""

    root: Path
    killed_at: int  # the step of the snapshot that the killed run left

    @property
    def volume(self) -> Path:
        return self.root / "volume"

    def artifact(self, name: str) -> Path:
        return self.root / "artifacts" / name


@pytest.fixture(scope="module")
def resumed(tmp_path_factory) -> Resumed:
    """Of 200 generated Pins, prepared on a volume beside the runs."""
    root = tmp_path_factory.mktemp("resumed")
    tiny_catalogue(root)
    killed, snapshots = start(root), root / "home" / "snapshots"
    while not (found := list(snapshots.glob("*.safetensors"))):
        assert killed.poll() is None, killed.stdout.read()
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    step = wait_for_silence(found[0])
    again = start(root)
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said
    return Resumed(root, step)


def start(root: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(HERE), "PINCLIP_HOME": str(root / "home")}
    environment |= {"PINCLIP_PREPARED": str(root / "volume")}
    command = [sys.executable, str(HERE / "run_prepare_to_train.py"), str(root), CONFIG.to_json()]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_same_command_goes_on_where_the_killed_one_was(resumed):
    curves = resumed.artifact("train/model/curves.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in curves]
    assert steps == list(range(1, steps[-1] + 1))
    assert EVERY <= resumed.killed_at < steps[-1]
    events = [json.loads(line) for line in (resumed.root / "events.jsonl").read_text().splitlines()]
    first = next(event for event in events if event["event"] == "progress" and event["step"] == "train")
    assert first["fraction"] == pytest.approx((resumed.killed_at + 1) / steps[-1])
    assert list((resumed.root / "home" / "snapshots").iterdir()) == []  # a finished training leaves none


def test_training_reads_from_the_volume_what_prepare_left_there(resumed, tmp_path):
    passed = resumed.artifact("prepare/prepared")
    assert passed.is_file()
    assert passed.stat().st_size < SMALL  # all that goes through KFP's store
    folder = Path(json.loads(passed.read_text())["path"])
    assert folder.parent == resumed.volume
    assert resumed.artifact("train/model/model.safetensors").stat().st_size > SMALL
    source = Catalogue(resumed.root / "catalogue")
    prepare(source, tmp_path / "alone", CONFIG.prepare, image_size=CONFIG.vision.image_size)
    assert contents(tmp_path / "alone") == {name: file for name, file in contents(folder).items() if name != FILES}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


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
