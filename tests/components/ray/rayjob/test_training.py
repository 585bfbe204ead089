"""The train step with a RayJob, whole: the real entrypoint on a real Ray, started by a stand-in for KubeRay."""

import contextlib
import errno
import io
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from kuberay import KubeRay
from kubernetes_server import KubernetesServer
from safetensors.torch import load_file
from tiny import TINY, walked_catalogue

from components import progress
from components.ray.rayjob import entrypoint, heartbeat, training
from components.ray.rayjob.progress_log import MARK, ProgressReader, write_progress
from components.ray.rayjob.settings import VARIABLE, asked, is_asked
from components.ray.rayjob.shared_folder import SharedFolder
from model.config import load
from model.config.overrides import override
from model.data.catalogue import Catalogue
from model.errors import ConfigError, RunError, TrainingError
from model.training.anchors import write_anchors
from model.training.loop import fit

ROOT = Path(__file__).parents[4]
CONFIG = load("smoke", TINY)


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The folders (prepared, neighbours) of 200 generated Pins."""
    return walked_catalogue(tmp_path_factory.mktemp("tiny"), CONFIG)


@pytest.fixture
def volume(tmp_path, monkeypatch):
    """The shared volume, and PINCLIP_RAYJOB as the deploy profile would set it."""
    node = {"cpu": 2, "memory": "4Gi"}
    told = {"image": "i:1", "claim": "pinclip-data", "path": str(tmp_path / "data"), "head": node, "workers": node}
    monkeypatch.setenv(VARIABLE, json.dumps(told))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def in_a_process(server: KubernetesServer, name: str, pod: str) -> int:
    """Runs the entrypoint as a process here; its output is the submitter's log."""
    command = shlex.split(server.jobs[name]["spec"]["entrypoint"])
    assert command[0] == "python"
    environment = {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", progress.EVENTS)}
    process = subprocess.Popen(
        [sys.executable, *command[1:]],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    for line in process.stdout:
        server.write(pod, line.rstrip("\n"))
    return process.wait()


def here(server: KubernetesServer, name: str, pod: str) -> int:
    """Runs the entrypoint in this process, with its output in the submitter's log."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        entrypoint.main(Path(shlex.split(server.jobs[name]["spec"]["entrypoint"])[-1]))
    server.write(pod, *said.getvalue().splitlines())
    return 0


def test_the_same_training_as_in_this_process(server, volume, walked, tmp_path, monkeypatch):
    """Same weights, same figures, progress in the step's own events, nothing left on the volume or the cluster."""
    alone = fit(*walked, tmp_path / "alone", CONFIG, lambda point: None)
    events = tmp_path / "events.jsonl"
    monkeypatch.setenv(progress.EVENTS, str(events))
    server.operator = KubeRay(in_a_process)
    with progress.step("train-baseline"):
        out = tmp_path / "out" / "model"
        figures = training.train(
            *walked, out, CONFIG, progress.advance_training, volume / "home/snapshots/a.safetensors"
        )
    assert all(figures[name] == alone[name] for name in ("steps", "pins", "parameters"))
    assert figures["loss"] == pytest.approx(alone["loss"], rel=1e-3)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (out, tmp_path / "alone"))
    assert max((ours[name] - theirs[name]).abs().max().item() for name in theirs) < 1e-3
    said = [json.loads(line) for line in events.read_text().splitlines()]
    assert {event["step"] for event in said} == {"train-baseline"}
    assert [event["event"] for event in said] == ["start", *["progress"] * (len(said) - 2), "end"]
    assert said[-2]["fraction"] == 1.0 and "loss" in said[-2]
    server.until(lambda: server.jobs == {})
    assert list((volume / "rayjobs").iterdir()) == []


def test_former_vectors_travel_to_the_pods(server, volume, walked, tmp_path, monkeypatch):
    """The step has them beside its model, where no pod sees them."""
    pin_ids = Catalogue(walked[0] / "catalogue").read("pins", ["pin_id"])["pin_id"].combine_chunks()
    write_anchors(tmp_path / "anchors.parquet", pin_ids, np.eye(len(pin_ids), CONFIG.fusion.dim))
    monkeypatch.setattr(entrypoint.training, "train", lambda *told: fit(*told))
    server.operator = KubeRay(here)
    asked = override(CONFIG, {"train": {"compatible_with": "1"}})
    figures = training.train(*walked, tmp_path / "model", asked, print, anchors=tmp_path / "anchors.parquet")
    assert figures["compatible"] > 0


def test_a_mistake_comes_out_as_its_sentence(server, volume, walked, tmp_path, monkeypatch):
    """The entrypoint in this process, without Ray: what is refused is an outcome, and no try is wasted on it."""
    large = override(CONFIG, {"train": {"batch_size": 512}})
    monkeypatch.setattr(entrypoint.training, "train", lambda *told: fit(*told))
    server.operator = KubeRay(here)
    with pytest.raises(TrainingError, match=r"^train\.batch_size is 512, but there are \d+ training Pins; choose"):
        training.train(*walked, tmp_path / "model", large, print)
    assert list((volume / "rayjobs").iterdir()) == [] and not (tmp_path / "model").exists()


def test_a_mistake_in_our_code_comes_out_as_one_sentence_too(server, volume, walked, tmp_path, monkeypatch):
    """KubeRay would only begin it again on another Ray cluster."""
    monkeypatch.setattr(entrypoint.training, "train", lambda *told: {}["weights"])
    server.operator = KubeRay(here)
    with pytest.raises(TrainingError, match=r"^The training broke off \(KeyError: 'weights'\); its log above has the"):
        training.train(*walked, tmp_path / "model", CONFIG, print)
    assert len(server.made) == 1


def test_a_volume_that_the_ray_pods_cannot_write_to_is_told_in_the_log(server, volume, walked, tmp_path, monkeypatch):
    """One sentence, and no other try on another Ray cluster."""

    def full(path: Path, text: str) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(entrypoint, "write_text", full)
    server.operator = KubeRay(here)
    with pytest.raises(
        RunError, match=r"^The Ray pods cannot write to .* \(Permission denied\); make room there, or let"
    ):
        training.train(*walked, tmp_path / "model", CONFIG, print)
    assert len(server.made) == 1


def test_a_queue_that_does_not_exist_is_told_before_anything_is_made(server, volume, walked, tmp_path, monkeypatch):
    told = json.loads(os.environ[VARIABLE]) | {"queue": "night"}
    monkeypatch.setenv(VARIABLE, json.dumps(told))
    server.role.add(("kueue.x-k8s.io", "localqueues", "get"))
    with pytest.raises(
        ConfigError, match=r"^There is no LocalQueue night in the namespace pinclip, and the RayJob would"
    ):
        training.train(*walked, tmp_path / "model", CONFIG, print)
    assert server.made == [] and not (volume / "rayjobs").exists()
    server.queues.add("night")
    training.check_queue(training.Kubernetes(), asked())
    server.role.discard(("kueue.x-k8s.io", "localqueues", "get"))  # then it is for the operator of the queue to know
    training.check_queue(training.Kubernetes(), asked())


def test_a_rayjob_belongs_to_the_workflow_of_its_step(server, volume, walked, tmp_path, monkeypatch):
    """To the Workflow and not to the pod, or a pod that is deleted would take a training along."""
    server.put_pod("step", "none", "none", {"main": {"running": {}}})
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "w-1", "uid": "u-1", "controller": True}
    server.pods["step"]["metadata"]["ownerReferences"] = [owner]
    monkeypatch.setenv("KFP_POD_NAME", "step")
    monkeypatch.setattr(entrypoint.training, "train", lambda *told: {}["no matter"])
    server.operator = KubeRay(here)
    with pytest.raises(TrainingError):
        training.train(*walked, tmp_path / "model", CONFIG, print)
    del owner["controller"]
    assert server.made[0]["metadata"]["ownerReferences"] == [owner]


def test_a_training_that_ended_while_the_step_was_dead_is_taken_without_another(server, volume, walked, tmp_path):
    server.operator = lambda server, name: pytest.fail("made again")
    name = training.job_name("train", asked(), CONFIG, (*walked, None, None))
    work = SharedFolder(volume, name)
    (work.folder / "model").mkdir(parents=True)
    (work.folder / "model" / "weights").write_text("w")
    (work.folder / "outcome.json").write_text(json.dumps({"figures": {"steps": 3}}))
    assert training.train(*walked, tmp_path / "model", CONFIG, print) == {"steps": 3}
    assert (tmp_path / "model" / "weights").read_text() == "w" and not work.folder.exists()
    assert server.calls == ["delete rayjobs"]


def test_what_a_training_left_counts_for_more_than_its_pods(server, volume, walked, tmp_path):
    """It was done when its head was lost; another try of KubeRay finds that and trains no more."""

    def training_of(server: KubernetesServer, name: str, pod: str) -> int:
        folder = Path(shlex.split(server.jobs[name]["spec"]["entrypoint"])[-1])
        (folder / "model").mkdir(exist_ok=True)
        (folder / "outcome.json").write_text(json.dumps({"figures": {"steps": 3}}))
        entrypoint.main(folder)
        return 1

    server.operator = KubeRay(training_of)
    assert training.train(*walked, tmp_path / "model", CONFIG, print) == {"steps": 3}
    server.until(lambda: server.jobs == {})


def test_another_try_forgets_a_refusal_of_the_one_before(server, volume, walked, tmp_path, monkeypatch):
    """Kueue took the Ray cluster away, and the training believed its workers dead."""
    tries = iter([TrainingError("The training workers died."), None])

    def train(*told: object) -> dict:
        if error := next(tries):
            raise error
        (volume / "rayjobs" / name / "model").mkdir()
        return {"steps": 3}

    monkeypatch.setattr(entrypoint.training, "train", train)
    name = training.job_name("train", asked(), CONFIG, (*walked, None, None))
    work = SharedFolder(volume, name)
    work.ask(*walked, CONFIG, "train", None, 2)
    entrypoint.main(work.folder)
    assert work.outcome == "refusal"
    entrypoint.main(work.folder)
    assert work.outcome == "figures"


def test_the_next_try_is_not_judged_by_what_this_one_left(server, volume, walked, tmp_path, monkeypatch):
    """Its workers ran out of memory; with more of it, the step is started again."""

    def train(*told: object) -> dict:
        if not server.made[1:]:
            server.kill_for_memory(next(pod for pod in server.pods if pod.endswith("worker")), "ray-worker")
            raise TrainingError("The training workers died.")
        (next((volume / "rayjobs").iterdir()) / "model").mkdir()
        return {"steps": 3}

    monkeypatch.setattr(entrypoint.training, "train", train)
    server.operator = KubeRay(here)
    with pytest.raises(TrainingError, match="ran out of memory: OOMKilled, container ray-worker, limit 4Gi"):
        training.train(*walked, tmp_path / "model", CONFIG, print)
    assert training.train(*walked, tmp_path / "model", CONFIG, print) == {"steps": 3}


def test_a_volume_that_cannot_be_written_is_told(server, volume, walked, tmp_path):
    (volume / "rayjobs").write_text("in the way")
    with pytest.raises(RunError, match=r"^Cannot copy to .*/data/rayjobs/pinclip-train-.* \(.*\); make room there"):
        training.train(*walked, tmp_path / "model", CONFIG, print)
    assert server.calls == []


def test_inputs_on_the_volume_are_used_where_they_are(volume, walked):
    work = SharedFolder(volume, "a")
    (volume / "prepared").mkdir()
    work.ask(volume / "prepared", walked[1], CONFIG, "train", None, 2)
    request = json.loads((work.folder / "request.json").read_text())
    assert request["prepared"] == str(volume / "prepared")
    assert request["neighbours"] == str(work.folder / "neighbours")
    assert sorted(p.name for p in (work.folder / "neighbours").iterdir()) == sorted(p.name for p in walked[1].iterdir())


def test_work_that_nobody_came_back_for_goes_after_a_week(volume, walked):
    old, new = SharedFolder(volume, "old"), SharedFolder(volume, "new")
    for work in (old, new):
        work.ask(*walked, CONFIG, "train", None, 2)
    week = old.folder.stat().st_mtime - 8 * 24 * 3600
    os.utime(old.folder, (week, week))
    SharedFolder(volume, "third").ask(*walked, CONFIG, "train", None, 2)
    assert not old.folder.exists() and new.folder.exists()


def test_a_training_without_outcome_is_told(volume, walked, tmp_path):
    work = SharedFolder(volume, "a")
    work.ask(*walked, CONFIG, "train", None, 2)
    with pytest.raises(TrainingError, match=r"left no outcome in .*; start the step again"):
        work.take(tmp_path / "model")


def test_a_snapshot_that_the_pods_do_not_see_is_told(volume, walked, tmp_path):
    with pytest.raises(ConfigError, match=r"is not on .*/data, which is what the pods of the RayJob see; put PINCLIP"):
        training.train(*walked, tmp_path / "model", CONFIG, print, tmp_path / "home" / "a.safetensors")


def test_without_the_variable_nothing_is_asked(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not is_asked()
    monkeypatch.setenv(VARIABLE, '{"claim": "c"}')
    assert is_asked()
    with pytest.raises(ConfigError, match=r"^PINCLIP_RAYJOB does not fit at path \(Field required\); compile"):
        asked()


def test_it_waits_for_its_nodes_and_tells_when_they_do_not_come(monkeypatch):
    """A Ray whose second node joins at the third look, and whose third node is dead."""
    looks = iter([[True], [True, False], *[[True, True, False]] * 9])
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.3:6379")
    monkeypatch.setattr(entrypoint, "ray_cluster", contextlib.nullcontext)
    monkeypatch.setattr(entrypoint.time, "sleep", lambda seconds: None)
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": alive} for alive in next(looks)])
    entrypoint.await_nodes(2, 60.0)
    assert len(list(looks)) == 8
    looks = iter([[True, True, False]])
    with pytest.raises(TrainingError, match="Only 2 of 3 nodes of the Ray cluster came up within 0 s"):
        entrypoint.await_nodes(3, 0.0)


def test_what_is_said_is_heard(capsys, monkeypatch):
    monkeypatch.setattr("components.ray.rayjob.progress_log.last_written", [0.0])
    for step in (1, 2, 3):
        write_progress({"step": step, "fraction": step / 3})  # the second comes too soon
    heard = []
    progress = ProgressReader(heard.append)
    lines = capsys.readouterr().out.splitlines()
    for line in lines:
        progress.read_line(f"\x1b[36m(RayTrainWorker pid=1)\x1b[0m {line} [repeated 2x]")
    assert [point["step"] for point in heard] == [1, 3]
    progress.read_line(f"{MARK}" + '{"step": 4, "fra')  # cut off: a line like any other
    assert len(heard) == 2 and list(progress.tail) == [f"{MARK}" + '{"step": 4, "fra']


def test_a_training_that_nobody_follows_ends_itself(tmp_path, monkeypatch):
    """Every new sign is another quarter of an hour; after the training there is nothing to end."""
    monkeypatch.setattr(heartbeat, "BEAT", 0.05)
    monkeypatch.setattr(heartbeat, "ALONE", 0.5)
    ended = threading.Event()
    with heartbeat.ending_without_heartbeat(tmp_path, ended.set):
        with heartbeat.sending_heartbeats(tmp_path):
            assert not ended.wait(1.5)
        assert ended.wait(10)
    ended.clear()
    with heartbeat.ending_without_heartbeat(tmp_path, ended.set):
        pass
    assert not ended.wait(1.0)


def test_a_step_gives_signs_as_long_as_it_follows(tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT", 0.02)
    signs = set()
    with heartbeat.sending_heartbeats(tmp_path):
        while len(signs) < 4:
            time.sleep(0.01)
            signs.add((tmp_path / heartbeat.FILE).read_text() if (tmp_path / heartbeat.FILE).exists() else "")
    last = (tmp_path / heartbeat.FILE).read_text()
    time.sleep(0.1)
    assert (tmp_path / heartbeat.FILE).read_text() == last


ALONE = """
import sys, time
from pathlib import Path
from components.ray.rayjob import entrypoint, heartbeat
heartbeat.ALONE, heartbeat.BEAT = 0.2, 0.02
entrypoint._outcome = lambda folder: time.sleep(60)
entrypoint.main(Path(sys.argv[1]))
"""


def test_it_leaves_without_an_outcome_and_as_if_it_had_succeeded(tmp_path):
    """KubeRay would begin a failed one again, and a step that comes back must find nothing to take for a verdict."""
    done = subprocess.run([sys.executable, "-c", ALONE, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "No step has followed this training" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_of_frozen_towers_has_to_lie_on_the_volume(server, volume, walked, tmp_path):
    extracted = tmp_path / "extraction.json"
    extracted.write_text(json.dumps({"images": {"folder": "/home/somebody/extracted/a", "tower": "a", "shape": [1]}}))
    with pytest.raises(ConfigError, match=r"What is kept of frozen towers, /home/somebody/extracted/a is not on"):
        training.train(*walked, tmp_path / "model", CONFIG, print, extracted=extracted)
