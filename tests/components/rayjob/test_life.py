"""A RayJob's life against a real HTTP server, by the real client, with what goes wrong on a cluster."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from kubernetes_server import KubernetesServer, write_kubeconfig

from components.rayjob.api import Kubernetes, Patience
from components.rayjob.life import complete
from components.rayjob.manifest import manifest
from components.rayjob.settings import RayJob
from components.rayjob.spoken import MARK, Ears
from model.errors import ClusterError, TrainingError

pytestmark = pytest.mark.timeout(120)  # what never ends is a failure
ROOT = Path(__file__).parents[3]
HURRIED = Patience(first=0.02, longest=0.1, total=10.0)
NAME = "pinclip-train-0123456789ab"
NODE = {"cpu": 2, "memory": "4Gi"}
ASKED = RayJob.model_validate({"image": "i:1", "claim": "c", "path": "/data", "head": NODE, "workers": NODE})
JOB = manifest(ASKED, NAME, ["python"], 1, "2.60.0")
QUEUED = manifest(ASKED.model_copy(update={"queue": "pinclip"}), NAME, ["python"], 1, "2.60.0")


def point(step: int) -> str:
    return f"(RayTrainWorker pid=7, ip=10.0.0.3) {MARK}" + json.dumps({"step": step, "fraction": step / 10})


def trains(server: KubernetesServer, name: str, ray_cluster: str = "ray-a", steps: tuple[int, ...] = (1, 2, 3)) -> None:
    """What KubeRay's operator shows of a training that succeeds."""
    server.update(name, jobDeploymentStatus="Initializing", rayClusterName=ray_cluster)
    pod = server.start(name, ray_cluster)
    server.write(pod, "Job submitted", *map(point, steps), "bye")
    server.end(pod)
    server.update(name, jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")


def live(job: dict = JOB, patience: Patience = HURRIED) -> list[int]:
    """The steps whose points were reported, in order."""
    heard: list[int] = []
    complete(Kubernetes(patience), job, Ears(lambda said: heard.append(said["step"])))
    return heard


def one_line(error: Exception) -> str:
    text = str(error)
    assert "\n" not in text and text.endswith(".")
    return text


def test_it_is_made_heard_to_its_end_and_deleted(server, capsys):
    server.operator = trains
    assert live() == [1, 2, 3]
    assert server.jobs == {}
    assert (server.count("create rayjobs"), server.count("delete rayjobs")) == (1, 1)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"RayJob {NAME} made"
    assert [line for line in said if not line.startswith("RayJob")] == ["Job submitted", "bye"]
    assert f"RayJob {NAME}: Complete" in said


def test_in_a_queue_it_waits_and_says_so(server, capsys):
    """Suspended until Kueue admits it, preempted once, admitted again: the training begins on another Ray cluster."""

    def operator(server: KubernetesServer, name: str) -> None:
        assert server.jobs[name]["spec"]["suspend"] is True
        server.until(lambda: "watch rayjobs" in server.calls)
        pod = server.start(name, "ray-a")
        server.write(pod, point(1))
        server.update(name, jobDeploymentStatus="Suspending")
        server.evict(pod)
        server.update(name, jobDeploymentStatus="Suspended", jobStatus="", rayClusterName="")
        trains(server, name, "ray-b", (2, 3))

    server.operator = operator
    heard = live(QUEUED)
    assert heard[-2:] == [2, 3]
    said = capsys.readouterr().out
    assert f"RayJob {NAME}: Suspended, waiting in its queue\n" in said


def test_a_failed_training_is_one_sentence_with_the_end_of_its_log(server):
    def operator(server: KubernetesServer, name: str) -> None:
        pod = server.start(name, "ray-a")
        server.write(pod, point(1), "Traceback", "MemoryError: 48 GiB", "exit 1")
        server.end(pod)
        message = "Job entrypoint command failed with exit code 1, last available logs:\nTraceback\n"
        server.update(name, jobDeploymentStatus="Failed", jobStatus="FAILED", reason="AppFailed", message=message)

    server.operator = operator
    with pytest.raises(TrainingError) as said:
        live()
    assert one_line(said.value) == (
        f"The RayJob {NAME} failed (AppFailed: Job entrypoint command failed with exit code 1, last available logs:); "
        "its log ends with: Traceback | MemoryError: 48 GiB | exit 1; mend it and start the step again: it goes on "
        "from the last snapshot."
    )
    assert server.jobs == {}


def test_a_training_that_somebody_stopped_did_not_succeed(server):
    server.operator = lambda server, name: server.update(name, jobDeploymentStatus="Complete", jobStatus="STOPPED")
    with pytest.raises(TrainingError, match=r"failed \(STOPPED\); mend it"):
        live()


def test_an_evicted_head_is_tried_again_on_a_new_cluster(server):
    def operator(server: KubernetesServer, name: str) -> None:
        pod = server.start(name, "ray-a")
        server.write(pod, point(1), point(2))
        server.until(lambda: "get pods log" in server.calls)
        server.evict(pod)
        server.update(name, jobDeploymentStatus="Retrying", failed=1)
        server.update(name, jobDeploymentStatus="", jobStatus="", rayClusterName="")
        trains(server, name, "ray-b", (2, 3))

    server.operator = operator
    heard = live()
    assert heard[-2:] == [2, 3]
    assert server.count("create rayjobs") == 1


def test_an_evicted_head_without_another_try_is_told(server):
    def operator(server: KubernetesServer, name: str) -> None:
        server.evict(server.start(name, "ray-a"))
        server.update(name, jobDeploymentStatus="Failed", reason="AppFailed", message="Ray head pod not found.")

    server.operator = operator
    with pytest.raises(TrainingError, match=r"failed \(AppFailed: Ray head pod not found\); mend it"):
        live()
    assert server.jobs == {}


def test_what_keeps_the_head_from_starting_is_told(server, capsys):
    """A secret that is missing; KubeRay gives up when the time to start is over."""

    def operator(server: KubernetesServer, name: str) -> None:
        server.wait(name, "ray-a", "CreateContainerConfigError", 'secret "hub"\nnot found')
        server.until(lambda: server.count("list pods") > 3)
        server.update(name, jobDeploymentStatus="Failed", reason="PreRunningDeadlineExceeded")

    server.operator = operator
    with pytest.raises(TrainingError, match="log ends with: The head of Ray waits: CreateContainerConfigError: secret"):
        live()
    assert capsys.readouterr().out.count('waits: CreateContainerConfigError: secret "hub" not found\n') == 1


FAULTS = ("get rayjobs", "create rayjobs", "watch rayjobs", "list pods", "get pods log", "delete rayjobs")


@pytest.mark.parametrize("call", FAULTS)
def test_a_server_that_fails_for_a_while_costs_only_patience(server, call):
    def operator(server: KubernetesServer, name: str) -> None:
        server.until(lambda: call != "watch rayjobs" or server.count(call) > 1)
        trains(server, name)

    server.operator = operator
    server.faults[call] = [500, 503, 429]
    assert live() == [1, 2, 3]
    assert server.jobs == {}
    assert server.count(call) > 1 and len(server.faults[call]) < 3


def test_a_watch_that_breaks_or_is_too_old_is_taken_up(server):
    def operator(server: KubernetesServer, name: str) -> None:
        server.until(lambda: server.count("watch rayjobs") >= 1)
        for status in ("Initializing", "Running", "Initializing"):
            server.update(name, jobDeploymentStatus=status)
            watches = server.count("watch rayjobs")
            server.until(lambda seen=watches: server.count("watch rayjobs") > seen)
        trains(server, name)

    server.operator = operator
    server.cut_watches, server.expired = [0, 1, 0], 2
    server.faults["watch rayjobs"] = [410]
    assert live() == [1, 2, 3]
    assert server.cut_watches == [] and server.expired == 0


def test_a_log_that_breaks_is_heard_once(server, capsys):
    def operator(server: KubernetesServer, name: str) -> None:
        pod = server.start(name, "ray-a")
        server.logs[pod].cut_after = [0, 1, 2, 2]
        server.write(pod, *map(point, (1, 2, 3)), "plain")
        server.until(lambda: not server.logs[pod].cut_after)
        server.end(pod)
        server.update(name, jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")

    server.operator = operator
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


def test_an_api_that_does_not_answer_is_told(server, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        write_kubeconfig(Path(os.environ["KUBECONFIG"]), f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(
        ClusterError, match=r"has not answered for 1 s \(.*Connection refused.*start the step again"
    ) as said:
        live(patience=Patience(first=0.02, longest=0.1, total=1.0))
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


def test_one_that_somebody_else_deletes_is_told(server):
    def operator(server: KubernetesServer, name: str) -> None:
        server.start(name, "ray-a")
        server.until(lambda: "watch rayjobs" in server.calls)
        server._remove(name)

    server.operator = operator
    with pytest.raises(TrainingError, match="was deleted by somebody else; start the step again"):
        live()


@pytest.mark.parametrize("status", ["Failed", "ValidationFailed"])
def test_one_that_failed_before_is_made_anew(server, status):
    """Its finalizer keeps it for a while."""
    with server.changed:
        server.create_rayjobs(json.loads(json.dumps(JOB)))
        server.update(NAME, jobDeploymentStatus=status)
    old = server.jobs[NAME]["metadata"]["uid"]
    server.operator, server.stays = trains, 0.3
    assert live() == [1, 2, 3]
    (new,) = {event["object"]["metadata"]["uid"] for _, event in server.events} - {old}
    assert new and server.count("create rayjobs") == 1
    server.until(lambda: server.jobs == {})


def test_one_that_nobody_lets_go_is_told(server, monkeypatch):
    from components.rayjob import life

    monkeypatch.setattr(life, "GONE", 0.2)
    server.create_rayjobs(json.loads(json.dumps(JOB)))
    server.jobs[NAME]["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    with pytest.raises(ClusterError, match="of an earlier try has not gone within 0 s; check that KubeRay's operator"):
        live()


def test_one_that_succeeded_while_nobody_looked_is_only_taken_up(server):
    server.create_rayjobs(json.loads(json.dumps(JOB)))
    trains(server, NAME)
    assert live() == [1, 2, 3]
    assert server.count("create rayjobs") == 0 and server.jobs == {}


PROCESS = """
import json, sys
from components.rayjob.api import Kubernetes
from components.rayjob.life import complete
from components.rayjob.spoken import Ears
complete(Kubernetes(), json.loads(sys.argv[1]), Ears(print))
"""


def started(server: KubernetesServer) -> subprocess.Popen:
    """A process that lives with the RayJob, once it follows it."""
    process = subprocess.Popen([sys.executable, "-c", PROCESS, json.dumps(JOB)], cwd=ROOT, stdout=subprocess.DEVNULL)
    server.until(lambda: "get pods log" in server.calls and "watch rayjobs" in server.calls)
    return process


def test_killed_by_sigterm_it_deletes_its_rayjob(server):
    server.operator = lambda server, name: server.write(server.start(name, "ray-a"), point(1))
    server.faults["delete rayjobs"] = [500]
    process = started(server)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert server.jobs == {}


def test_killed_harder_it_is_taken_up_by_the_next(server, capsys):
    server.operator = lambda server, name: server.write(server.start(name, "ray-a"), point(1))
    process = started(server)
    process.kill()
    process.wait(30)
    assert list(server.jobs) == [NAME]
    server.write("ray-a-head", point(2))
    server.end("ray-a-head")
    server.update(NAME, jobDeploymentStatus="Complete", jobStatus="SUCCEEDED")
    assert live() == [1, 2]
    assert server.count("create rayjobs") == 1 and server.jobs == {}
    assert f"RayJob {NAME} taken up" in capsys.readouterr().out
