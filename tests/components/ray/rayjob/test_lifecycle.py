"""A RayJob's life against a real HTTP server, by the real client, with what goes wrong on a cluster."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from kuberay import KubeRay
from kubernetes_server import KubernetesServer, write_kubeconfig

from components.ray.rayjob import lifecycle, pod_startup
from components.ray.rayjob.api import Kubernetes
from components.ray.rayjob.lifecycle import complete
from components.ray.rayjob.manifest import SUBMITTER, manifest
from components.ray.rayjob.progress_log import MARK, ProgressReader
from components.ray.rayjob.settings import RayJob
from model.errors import ClusterError, TrainingError

pytestmark = pytest.mark.timeout(120)  # what never ends is a failure
ROOT = Path(__file__).parents[4]
NAME = "pinclip-train-0123456789ab"
NODE = {"cpu": 2, "memory": "4Gi"}
ASKED = RayJob.model_validate({"image": "i:1", "claim": "c", "path": "/data", "head": NODE, "workers": NODE})
JOB = manifest(ASKED, NAME, ["python"], 1, "2.60.0")
ONE_TRY = manifest(ASKED.model_copy(update={"retries": 0}), NAME, ["python"], 1, "2.60.0")
QUEUED = manifest(ASKED.model_copy(update={"queue": "pinclip"}), NAME, ["python"], 1, "2.60.0")


def point(step: int) -> str:
    return f"(RayTrainWorker pid=7, ip=10.0.0.3) {MARK}" + json.dumps({"step": step, "fraction": step / 10})


DONE: set[str] = set()  # RayJobs whose outcome is on the volume


@pytest.fixture(autouse=True)
def empty_volume():
    DONE.clear()


def trained(*steps: int, code: int = 0, outcome: bool = True):
    """A training that says these steps, leaves its outcome, and whose submitter ends so."""

    def training(server: KubernetesServer, name: str, pod: str) -> int:
        server.write(pod, "Job submitted", *map(point, steps), "bye")
        if outcome:
            DONE.add(name)
        return code

    return training


def trains(server: KubernetesServer, name: str) -> None:
    KubeRay(trained(1, 2, 3))(server, name)


def live(job: dict = JOB) -> list[int]:
    """The steps whose points were reported, in order."""
    heard: list[int] = []
    complete(
        Kubernetes(),
        job,
        ProgressReader(lambda said: heard.append(said["step"])),
        lambda: "figures" if job["metadata"]["name"] in DONE else "",
    )
    return heard


def one_line(error: Exception) -> str:
    text = str(error)
    assert "\n" not in text and text.endswith(".")
    return text


def test_it_is_made_heard_to_its_end_and_deleted(server, capsys):
    server.operator = trains
    assert live() == [1, 2, 3]
    server.until(lambda: server.jobs == {} and server.pods == {})
    assert (len(server.made), server.count("delete rayjobs")) == (1, 1)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"RayJob {NAME} made"
    assert [line for line in said if not line.startswith("RayJob")] == ["Job submitted", "bye"]


# An operator that is away, and a Ray cluster that it never sees ready


@pytest.mark.parametrize("starting", [0.0, 60.0])
def test_a_training_that_ends_before_the_operator_saw_it_ready_is_over_at_once(server, starting):
    """In Initializing for ever: because the operator is away, or because the training was faster than the pods."""
    operator = KubeRay(trained(1, 2, 3), starting)

    def leaves(server: KubernetesServer, name: str, pod: str) -> int:
        operator.away.set()
        return trained(1, 2, 3)(server, name, pod)

    operator.training = leaves if starting == 0.0 else operator.training
    server.operator = operator
    began = time.monotonic()
    assert live() == [1, 2, 3]
    assert time.monotonic() - began < 5
    operator.away.clear()
    server.until(lambda: server.jobs == {})
    assert [ray.state for ray in operator.rays.values()] == [""]


def test_one_that_fails_there_is_told_within_the_grace(server):
    server.operator = KubeRay(trained(1, code=1, outcome=False), starting=60.0)
    with pytest.raises(TrainingError, match=r"failed \(its submitter ended with exit code 1, Error, and left no outc"):
        live()
    server.until(lambda: server.jobs == {})


def test_the_stand_in_hangs_as_kuberay_does(server):
    """Without a step that judges for itself, the RayJob of such a training stays in Initializing."""
    server.operator = KubeRay(trained(code=1), starting=0.2)
    server.create_rayjobs(json.loads(json.dumps(JOB)))
    server.until(lambda: server.pods and "terminated" in server.state(next(iter(server.pods)), SUBMITTER)["state"])
    time.sleep(0.6)  # its pods have had the time to become ready
    assert server.jobs[NAME]["status"]["jobDeploymentStatus"] == "Initializing"
    server.remove(NAME)


def test_an_operator_that_never_looks_is_told(server, capsys, monkeypatch):
    monkeypatch.setattr(pod_startup, "TOLD", 0.1)
    operator = KubeRay(trained(1))
    operator.away.set()
    threading.Timer(0.5, operator.away.clear).start()
    server.operator = operator
    assert live() == [1]
    assert capsys.readouterr().out.count("KubeRay's operator has not looked at the RayJob for 0 min; check that") == 1


# Queue, retries, lost pods


def test_in_a_queue_it_waits_and_says_so(server, capsys):
    """Suspended until Kueue admits it, preempted once, admitted again: the training begins on another Ray cluster."""
    clusters = iter([(1,), (2, 3)])

    def training(server: KubernetesServer, name: str, pod: str) -> int:
        steps = next(clusters)
        if steps == (1,):
            server.write(pod, point(1))
            server.until(lambda: "get pods log" in server.calls)
            server.jobs[name]["spec"]["suspend"] = True
            server.until(lambda: server.jobs[name]["status"]["jobDeploymentStatus"] == "Suspended")
            time.sleep(0.2)
            server.jobs[name]["spec"]["suspend"] = False
            return 137
        return trained(*steps)(server, name, pod)

    operator = KubeRay(training)

    def kueue(server: KubernetesServer, name: str) -> None:
        assert server.jobs[name]["spec"]["suspend"] is True
        server.until(lambda: server.count("get rayjobs") > 2)
        server.jobs[name]["spec"]["suspend"] = False
        operator(server, name)

    server.operator = kueue
    assert live(QUEUED) == [1, 2, 3]
    assert f"RayJob {NAME}: Suspended, waiting in its queue\n" in capsys.readouterr().out


def test_a_failed_training_is_one_sentence_with_the_end_of_its_log(server):
    def training(server: KubernetesServer, name: str, pod: str) -> int:
        server.until(lambda: server.jobs[name]["status"]["jobDeploymentStatus"] == "Running")
        server.write(pod, point(1), "Traceback", "MemoryError: 48 GiB", "exit 1")
        return 1

    server.operator = KubeRay(training)
    with pytest.raises(TrainingError) as said:
        live(ONE_TRY)
    assert one_line(said.value) == (
        f"The RayJob {NAME} failed (SubmissionFailed: Ray head pod container ray-job-submitter terminated with exit "
        "code 1: Error); its log ends with: Traceback | MemoryError: 48 GiB | exit 1; fix it and start the step again: "
        "it goes on from the last snapshot."
    )
    server.until(lambda: server.jobs == {})


def test_a_lost_head_is_tried_again_on_a_new_cluster(server):
    tries = iter([(1, 2), (2, 3)])

    def training(server: KubernetesServer, name: str, pod: str) -> int:
        steps = next(tries)
        if steps == (2, 3):
            return trained(*steps)(server, name, pod)
        server.write(pod, *map(point, steps))
        server.until(lambda: "get pods log" in server.calls)
        server.until(lambda: server.jobs[name]["status"]["jobDeploymentStatus"] == "Running")
        time.sleep(0.1)
        server.evict(pod)
        return 137

    server.operator = KubeRay(training)
    assert live() == [1, 2, 2, 3]
    assert len(server.made) == 1


def test_a_lost_head_without_another_try_is_told(server):
    def training(server: KubernetesServer, name: str, pod: str) -> int:
        server.until(lambda: server.jobs[name]["status"]["jobDeploymentStatus"] == "Running")
        server.evict(pod)
        return 137

    server.operator = KubeRay(training)
    with pytest.raises(TrainingError, match=r"failed \(AppFailed: Ray head pod not found\); fix it"):
        live(ONE_TRY)


@pytest.mark.parametrize(("node", "box"), [("worker", "ray-worker"), ("head", "ray-head")])
def test_a_pod_that_runs_out_of_memory_is_told_at_once(server, node, box):
    """Also where the operator is away, and though Ray begins its worker again: with the same memory."""

    def training(server: KubernetesServer, name: str, pod: str) -> int:
        server.kill_for_memory(pod.replace("head", node), box)
        server.until(lambda: name not in server.jobs)
        return 1

    server.operator = KubeRay(training)
    with pytest.raises(TrainingError, match=r"ran out of memory: OOMKilled, container .*, limit 4Gi\); raise the mem"):
        live()


def test_what_keeps_the_head_from_starting_is_told(server, capsys, monkeypatch):
    monkeypatch.setattr(pod_startup, "TOLD", 0.4)
    server.operator = lambda server, name: server.wait(
        name, "ray-a", "CreateContainerConfigError", 'secret "hub"\nnot found'
    )
    with pytest.raises(
        TrainingError,
        match=r'ray-a-head has not started for 0 min \(CreateContainerConfigError: secret "hub" not found',
    ):
        live()
    assert capsys.readouterr().out.count('waits: CreateContainerConfigError: secret "hub" not found\n') == 1
    assert server.jobs == {}


# The API fails or refuses

FAULTS = ("get rayjobs", "create rayjobs", "list pods", "get pods log", "delete rayjobs")


@pytest.mark.parametrize("call", FAULTS)
def test_a_server_that_fails_for_a_while_costs_only_patience(server, call):
    server.operator = trains
    server.faults[call] = [500, 503, 429]
    assert live() == [1, 2, 3]
    server.until(lambda: server.jobs == {})
    assert server.count(call) > 3 and server.faults[call] == []


def test_a_log_that_breaks_is_heard_once(server, capsys):
    def training(server: KubernetesServer, name: str, pod: str) -> int:
        server.logs[pod].cut_after = [0, 1, 2, 2]
        server.write(pod, *map(point, (1, 2, 3)), "plain")
        server.until(lambda: not server.logs[pod].cut_after)
        DONE.add(name)
        return 0

    server.operator = KubeRay(training)
    assert live() == [1, 2, 3]
    assert capsys.readouterr().out.count("plain") == 1


def test_a_log_that_may_not_be_read_does_not_end_the_training(server, capsys):
    server.role.discard(("", "pods/log", "get"))
    server.operator = trains
    assert live() == []
    assert "Its log cannot be read: the Kubernetes API answered with 403." in capsys.readouterr().out


def test_a_token_that_is_not_known_is_told(server, tmp_path):
    config = Path(os.environ["KUBECONFIG"])
    config.write_text(config.read_text().replace("a-valid-token", "an-old-token"))
    with pytest.raises(ClusterError, match=r"^Kubernetes does not know the token of this step \(401\)") as said:
        live()
    assert "an-old-token" not in one_line(said.value)


def test_a_missing_right_is_told(server):
    server.role.discard(("ray.io", "rayjobs", "create"))
    with pytest.raises(ClusterError, match=r"\(403: the account cannot create resource .rayjobs.\); give its account"):
        live()


def test_a_rayjob_that_the_api_refuses_is_told(server):
    server.faults["create rayjobs"] = [422]
    with pytest.raises(
        ClusterError, match=r"refused \(422: a fault that the test has planted\); correct `ray`"
    ) as said:
        live()
    one_line(said.value)


def test_a_kuberay_that_is_too_old_is_told_before_anything_is_made(server):
    """Its CRD drops what it does not know: preRunningDeadlineSeconds came with KubeRay 1.6."""
    server.unknown = {"preRunningDeadlineSeconds"}
    with pytest.raises(ClusterError, match="does not know preRunningDeadlineSeconds of a RayJob; install KubeRay"):
        live()
    assert server.made == []


def test_a_cluster_that_takes_no_dry_run_gets_the_rayjob_unrehearsed(server):
    """A webhook without `sideEffects: None` refuses every dry run."""
    server.operator = trains
    server.faults["create rayjobs"] = [400]
    assert live() == [1, 2, 3]
    assert server.count("create rayjobs") == 2 and len(server.made) == 1


def test_an_api_that_does_not_answer_is_told(server, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        write_kubeconfig(Path(os.environ["KUBECONFIG"]), f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(ClusterError, match=r"does not answer \(.*Connection refused.*start the step again") as said:
        live()
    one_line(said.value)
    assert f"RayJob {NAME} is still there, `kubectl delete rayjob {NAME}` ends it" in capsys.readouterr().out


def test_a_process_outside_of_a_cluster_is_told(monkeypatch):
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ClusterError, match=r"no way to the Kubernetes API \(.*not set\); run it in a pod, or set KUBE"):
        Kubernetes()
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    with pytest.raises(ClusterError, match="no way to the Kubernetes API"):
        Kubernetes()


# Others at the same RayJob


def test_one_that_somebody_else_deletes_is_told(server):
    def operator(server: KubernetesServer, name: str) -> None:
        server.start(name, "ray-a")
        server.until(lambda: "list pods" in server.calls)
        server.remove(name)

    server.operator = operator
    with pytest.raises(TrainingError, match="was deleted by somebody else; start the step again"):
        live()


@pytest.mark.parametrize("status", ["Failed", "ValidationFailed", "Complete"])
def test_one_that_ended_without_an_outcome_is_made_anew(server, status):
    """It failed, or ended itself because nobody followed it. Its finalizer keeps it until KubeRay has looked."""
    old = server.create_rayjobs(json.loads(json.dumps(JOB)))
    old["metadata"]["finalizers"] = ["ray.io/rayjob-finalizer"]
    server.update(NAME, jobDeploymentStatus=status)
    threading.Timer(0.3, server.remove, [NAME]).start()
    server.operator = trains
    assert live() == [1, 2, 3]
    assert len(server.made) == 2


def test_one_that_nobody_lets_go_is_told(server, monkeypatch):
    monkeypatch.setattr(lifecycle, "GONE", 0.2)
    server.create_rayjobs(json.loads(json.dumps(JOB)))
    server.jobs[NAME]["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    with pytest.raises(ClusterError, match="of an earlier try has not gone within 0 s; check that KubeRay's operator"):
        live()


@pytest.mark.parametrize("fault", ["none", "refusal", "silence"])
def test_killed_by_sigterm_it_deletes_its_rayjob_first_and_in_one_try(server, fault):
    """It may have a second: there is no second try, and no long wait for an answer."""
    server.operator = lambda server, name: server.write(server.start(name, "ray-a"), point(1))
    server.faults["delete rayjobs"] = [500] if fault == "refusal" else []
    server.slow["delete rayjobs"] = 3.0 if fault == "silence" else 0.0
    seen = []

    def kill() -> None:
        server.until(lambda: "get pods log" in server.calls)
        seen.extend([len(server.calls), time.monotonic()])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(SystemExit) as ended:
        live()
    assert ended.value.code == 128 + signal.SIGTERM
    assert time.monotonic() - seen[1] < 2
    calls = [call for call in server.calls[seen[0] :] if call != "list pods"]  # those are the log's
    assert calls in (["delete rayjobs"], ["get rayjobs", "delete rayjobs"])  # one may have been on its way
    assert (server.jobs == {}) == (fault == "none")


PROCESS = """
import json, sys
from components.ray.rayjob.api import Kubernetes
from components.ray.rayjob.lifecycle import complete
from components.ray.rayjob.progress_log import ProgressReader
complete(Kubernetes(), json.loads(sys.argv[1]), ProgressReader(print), lambda: "")
"""


def test_killed_harder_it_is_taken_up_by_the_next(server, capsys):
    server.operator = lambda server, name: server.write(server.start(name, "ray-a"), point(1))
    process = subprocess.Popen([sys.executable, "-c", PROCESS, json.dumps(JOB)], cwd=ROOT, stdout=subprocess.DEVNULL)
    server.until(lambda: "get pods log" in server.calls, 60)
    process.kill()
    process.wait(30)
    assert list(server.jobs) == [NAME]
    server.write("ray-a-head", point(2))
    DONE.add(NAME)
    server.end("ray-a-head")
    assert live() == [1, 2]
    assert len(server.made) == 1 and server.jobs == {}
    assert f"RayJob {NAME} taken up" in capsys.readouterr().out
