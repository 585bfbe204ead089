"""Parts of `make e2e-cluster` that need no cluster: bounded waits, the report, what Argo and Ray wrote."""

import json
import os
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import api_server
import jsonschema
import pytest
import yaml
from manifests import validate

from tests.e2e.on_cluster import __main__ as command
from tests.e2e.on_cluster import (
    checks,
    cluster_clients,
    end_delay,
    failure_details,
    failures,
    interruptions,
    jobs,
    kfp_access,
    overlay,
    profile,
    runs,
    steps,
    volumes,
)
from tests.e2e.on_cluster.__main__ import main
from tests.e2e.on_cluster.cluster_clients import Site
from tests.e2e.on_cluster.report import Report
from tests.e2e.on_cluster.steps import Clock, Failed, NotTried, Outcome, Step, run_all
from tests.e2e.simulated_cluster import ended

RECORDED = Path(__file__).parents[3] / "shared" / "cluster"
NOW = datetime(2026, 11, 28, 8, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(steps, "PAUSE", 0.01)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """One that speaks to an API server which knows nothing yet: `site.server`."""
    state = api_server.ApiServer()
    state.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "pinclip-lab"}})
    with api_server.listening(state, tmp_path / "kubeconfig"):
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        found = Site("reg:5000/pinclip:7", Clock(1, say=lambda text: None), tmp_path / "out")
        found.folder.mkdir()
        found.server = state
        yield found
        found.close()


@pytest.mark.parametrize("arguments", [[], ["--delete"]])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "There is no way to a cluster"),
        ("no kubeconfig at all", "There is no way to a cluster (no kubeconfig); set KUBECONFIG"),
        ("nobody", "does not answer ([Errno 111] Connection refused); does KUBECONFIG name the right cluster?"),
        (401, "refuses the credentials of KUBECONFIG (401: "),
    ],
)
def test_a_wrong_kubeconfig_is_one_sentence_and_leaves_the_last_report(
    tmp_path, monkeypatch, capsys, given, says, arguments
):
    file, state = tmp_path / "kubeconfig", api_server.ApiServer()
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.setattr(cluster_clients, "PAUSE", 0.01)
    monkeypatch.setattr(command, "RUNS", str(tmp_path / "runs"))
    if given == "no kubeconfig at all":
        file.write_text(given)
    if given in ("nobody", 401):
        with api_server.listening(state, file):
            state.broken[:] = [401] if given == 401 else []
            code = main(arguments) if given == 401 else None
    code = main(arguments) if given != 401 else code
    said = capsys.readouterr()
    assert (code, said.out, said.err.count("\n")) == (2, "", 1)
    assert says in said.err
    assert not (tmp_path / "runs").exists()


def run(*planned, minutes=1.0, only=()):
    said, noted = [], []
    outcomes = run_all(planned, None, Clock(minutes, say=said.append), only, lambda all_: noted.append(len(all_)))
    return outcomes, said, noted


def fails(_):
    raise Failed("It broke.", ["Warning FailedMount: no secret", "main> last line"])


def not_tried(_):
    raise NotTried("This cluster has no Kueue.")


def test_a_failed_step_stops_those_that_need_it_and_no_other():
    planned = (
        Step("one", fails),
        Step("two", lambda _: "never", needs=("one",)),
        Step("three", lambda _: "Well."),
        Step("four", not_tried),
    )
    outcomes, said, noted = run(*planned)
    assert [one.state for one in outcomes] == ["failed", "not tried", "passed", "not tried"]
    assert outcomes[1].said == "It needs the step 'one', which has not passed."
    assert noted == [1, 2, 3, 4]
    assert said[0] == " 1/4  one …"
    assert said[1] == "       FAILED in 0 s: It broke."
    assert said[2:4] == ["         | Warning FailedMount: no secret", "         | main> last line"]


def test_an_error_of_the_program_is_a_failure_with_its_traceback():
    outcomes, _, _ = run(Step("one", lambda _: {}["x"]))
    assert outcomes[0].said == "KeyError: 'x'"
    assert outcomes[0].evidence[-1] == "KeyError: 'x'"


def test_what_the_time_does_not_suffice_for_is_not_tried():
    outcomes, _, _ = run(Step("one", lambda _: "Well."), minutes=0)
    assert (outcomes[0].state, outcomes[0].said) == ("not tried", "The 0 minutes were over; --minutes gives more.")


def test_a_wait_ends_and_says_what_it_waited_for():
    with pytest.raises(Failed, match=r"^The pod did not come within 0 s\.$") as error:
        Clock(1).until(lambda: None, 0.05, "The pod did not come", lambda: ["an event"])
    assert error.value.evidence == ("an event",)
    with pytest.raises(Failed, match="when the time for everything was over"):
        Clock(0.001).until(lambda: False, 60, "The pod did not come")
    assert Clock(1).until(lambda: 0, 60, "zero is an answer") == 0


def test_an_api_that_is_away_is_asked_again_and_a_refusal_is_not(site, monkeypatch):
    site.server.broken = [500, 503]
    assert site.ask(site.core.read_namespace, "pinclip-lab").metadata.name == "pinclip-lab"
    site.server.broken = [403]
    with pytest.raises(Failed, match=r"Kubernetes refused \(403: a fault that the test has planted\)"):
        site.ask(site.core.read_namespace, "pinclip-lab")
    assert site.ask(site.core.read_namespace, "none", none_for={404}) is None
    monkeypatch.setattr("tests.e2e.on_cluster.cluster_clients.AWAY", 0.05)
    site.server.broken = [500] * 1000
    with pytest.raises(Failed, match="The Kubernetes API did not answer within"):
        site.ask(site.core.read_namespace, "pinclip-lab")


def test_the_report_is_there_after_every_step_and_is_for_people_and_machines(site):
    site.parts = {"KFP": "2.16.1"}
    report = Report(site, ["one", "two", "three"])
    report.write([Outcome("one", "passed", 1.2, "Well."), Outcome("two", "failed", 3.0, "a | b", ("an event",))])
    found = json.loads(report.path("json").read_text())
    assert [one["state"] for one in found["steps"]] == ["passed", "failed", "not tried"]
    assert (found["image"], found["versions"]) == ("reg:5000/pinclip:7", {"KFP": "2.16.1"})
    page = report.path("md").read_text()
    assert "1 passed, 1 failed, 1 not tried" in page.splitlines()[0]
    assert "| two | **FAILED** | 3 | a \\| b |" in page
    assert "## two\n\na | b\n\n```\nan event\n```" in page


@pytest.mark.parametrize(
    ("image", "name", "rest"),
    [
        ("pinclip-python:lab", "pinclip-python", {"newTag": "lab"}),
        ("reg.example.com:5000/a/pinclip:1.2", "reg.example.com:5000/a/pinclip", {"newTag": "1.2"}),
        ("reg:5000/pinclip", "reg:5000/pinclip", {"newTag": "latest"}),
        ("reg/pinclip:1@sha256:ab", "reg/pinclip", {"digest": "sha256:ab"}),
    ],
)
def test_an_image_as_kustomize_takes_it(image, name, rest):
    assert overlay.split_image(image) == (name, rest)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("ghcr.io/kubeflow/kfp-api-server:2.16.1@sha256:0", "2.16.1"),
        ("quay.io:443/kuberay/operator:v1.6.2", "1.6.2"),
        ("localhost:5000/kueue", "unknown"),
        ("kueue:nightly", "unknown"),
    ],
)
def test_a_version_is_read_out_of_an_image(image, version):
    assert checks.tag(image) == version
    assert checks.at_least(version, "1.0")  # what does not say its version is taken


def test_versions_are_compared_as_numbers():
    assert checks.at_least("0.17.10", "0.17.7")
    assert not checks.at_least("2.9", "2.16")
    assert checks.at_least("1.34.4+k3s1", "1.27")


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded answers of a real cluster are lent, not part of this")
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("workflow-step-pod-deleted.json", {"train": "Error", "train-baseline": "Succeeded"}),
        ("workflow-terminated.json", {"train": "Failed", "train-baseline": "Failed", "prepare": "Succeeded"}),
        ("workflow-onerror-deleted-pod-retried.json", {"quantize": "Succeeded", "embed-baseline": "Succeeded"}),
    ],
)
def test_steps_are_found_in_the_workflows_of_a_real_argo(file, expected):
    found = {name: node["phase"] for name, node in runs.steps(json.loads((RECORDED / file).read_text())).items()}
    assert found.items() >= expected.items()


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded answers of a real cluster are lent, not part of this")
def test_a_run_of_which_nothing_ran_but_drivers_and_one_that_ran_whole(tmp_path):
    cached = json.loads((RECORDED / "workflow-scheduled-third-night-all-cached.json").read_text())
    assert "train" not in runs.steps(cached)
    whole = json.loads((RECORDED / "workflow-succeeded.json").read_text())
    assert len(runs.steps(whole)) == runs.STEPS


def box(name="ray-job-submitter", ended=None, reason="Completed"):
    done = SimpleNamespace(finished_at=ended, reason=reason, exit_code=0) if ended else None
    running = None if ended else SimpleNamespace(started_at=NOW)
    return SimpleNamespace(name=name, state=SimpleNamespace(terminated=done, running=running), last_state=None)


def pod(name, *boxes):
    return SimpleNamespace(metadata=SimpleNamespace(name=name), status=SimpleNamespace(container_statuses=boxes))


def watched(*pods):
    watch = end_delay.Watch(SimpleNamespace(pods=lambda selector: pods))
    watch.look()
    return watch


def test_told_is_from_the_end_of_the_training_to_the_end_of_its_step():
    step = {"finishedAt": (NOW + timedelta(seconds=70)).isoformat()}
    watch = watched(pod("pinclip-train-0abf718559dc-85hgx-head-sb8zd", box(ended=NOW)), pod("mlflow-1", box(ended=NOW)))
    assert watch.told({"train": step, "train-baseline": step, "embed": step}) == {"train": 70.0}
    assert end_delay.late({"train": 70.0, "train-baseline": 5.0}) == ["train after 70 s"]


def test_a_worker_that_the_kernel_killed_is_seen():
    killed = box("ray-worker", ended=NOW, reason="OOMKilled")
    watch = watched(pod("pinclip-train-baseline-990a24d8cf47-rlkhz-workers-worker-tc6ff", killed))
    assert watch.killed == {"train-baseline": NOW}
    node = {"finishedAt": (NOW + timedelta(seconds=30)).isoformat()}
    assert failures.seconds_until_told(watch, {"train-baseline": node}, "train-baseline") == 30.0


def test_a_step_that_failed_unseen_is_no_pass():
    with pytest.raises(Failed, match="before a pod of its RayJob was seen"):
        failures.seconds_until_told(watched(), {"train": {"finishedAt": NOW.isoformat()}}, "train")


def test_the_evidence_of_a_pod_is_its_events_what_it_waits_for_and_its_last_lines(site):
    state = {"waiting": {"reason": "ErrImagePull", "message": "no such\nimage"}}
    ended = {"terminated": {"exitCode": 2, "reason": "Error", "finishedAt": "2026-11-28T08:00:00Z"}}
    boxes = [
        {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": one}
        for name, one in (("main", state), ("side", ended))
    ]
    meta = {"name": "p", "namespace": "pinclip-lab", "labels": {"a": "b"}}
    status = {"phase": "Pending", "containerStatuses": boxes}
    site.server.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": status})
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "p.1", "namespace": "pinclip-lab"}}
    event |= {"involvedObject": {"name": "p"}, "type": "Warning", "reason": "Failed", "message": "pull", "count": 4}
    site.server.put(event)
    site.server.logs["pinclip-lab", "p", "side"] = "\n".join(f"line {i}" for i in range(100))
    found = failure_details.of_pods(site, "a=b")
    assert found[:3] == [
        "p: Warning Failed (4 times): pull",
        "p/main waits: ErrImagePull: no such image",
        "p/side ended with 2 (Error)",
    ]
    assert found[3:] == [f"p/side> line {i}" for i in range(92, 100)]


def test_a_job_that_fails_says_its_events_and_last_lines(site):
    def react(server, made):
        if made["kind"] == "Job":
            made["status"] = {"failed": 1, "conditions": [{"type": "Failed", "status": "True"}]}
            meta = {"name": "e2e-x-1", "namespace": "pinclip-lab", "labels": {"job-name": "e2e-x"}}
            state = {"terminated": {"exitCode": 2, "reason": "Error"}}
            status = {"name": "program", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
            status = {"phase": "Failed", "containerStatuses": [status]}
            server.put({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": status})
            server.logs["pinclip-lab", "e2e-x-1", "program"] = "no space left"

    site.server.react = react
    with pytest.raises(Failed, match="The Job e2e-x in pinclip-lab failed") as error:
        jobs.run(site, "e2e-x", ["true"], 30, jobs.alone())
    assert error.value.evidence[-1] == "e2e-x-1/program> no space left"


@pytest.mark.parametrize("root", [False, True])
def test_what_is_made_beside_the_overlay_is_valid(site, root):
    """Strictly: a server refuses a wrong type, and drops what it does not know."""
    site.parts = {"KubeRay": "1.6.2", "Kueue": "0.17.8"}
    seen = jobs.of_step(profile.read(site), "sync", "sync") | {"root": root}
    for pod in (seen, jobs.alone([{"name": "A", "value": "b"}])):
        validate(jobs.manifest(site, "e2e-x", ["python", "-c", "pass"], 30.0, pod))
    validate(volumes.host_volume(site, volumes.Wanted("pinclip-data", "10Gi", 10001)))
    with pytest.raises(jsonschema.ValidationError):
        validate(jobs.manifest(site, "e2e-x", ["python"], 30.0, seen | {"env": [{"name": "A", "valeu": "b"}]}))


def test_a_job_whose_first_pod_failed_is_waited_for(site):
    """data-folders has four tries."""
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "tried", "namespace": "pinclip-lab"}}
    job |= {"spec": {"template": {"spec": {"containers": []}}}, "status": {"failed": 1, "active": 1}}
    site.server.put(job)
    threading.Timer(0.2, lambda: job.update(status=ended(True) | {"failed": 1})).start()
    jobs.finished(site, "tried", 20, "pinclip-lab")


def test_a_workload_is_patched_as_custom_resources_take_it(site):
    meta = {"name": "w", "namespace": "pinclip-lab"}
    workload = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Workload", "metadata": meta, "spec": {"active": True}}
    site.server.put(workload)
    interruptions.activate(site, workload, False)
    assert site.server.one("workloads", "w")["spec"] == {"active": False}


def test_a_volume_that_is_still_going_is_waited_for(site):
    """Applied to one that has only been told to go, the next would go with it, and the claim wait for ever."""
    meta = {"name": "pinclip-e2e-pinclip-data"}
    old = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "status": {"phase": "Released"}}
    site.server.put(old)
    volumes.clear_away(site, meta["name"])
    assert site.server.one("persistentvolumes", meta["name"]) is None


def test_profiles_for_a_cluster_without_kueue_or_kuberay_and_for_runs_that_fail(site):
    def training(path):
        return yaml.safe_load(path.read_text())["pipelines"]["training"]["train"]

    site.parts = {"KubeRay": "1.6.2", "Kueue": "0.17.8"}
    assert yaml.safe_load(profile.write(site).read_text())["image"] == "reg:5000/pinclip:7"
    assert training(profile.write(site))["ray"]["queue"] == "pinclip"
    once = training(profile.write(site, "once", once=True))
    assert (once["retries"], once["ray"]["retries"]) == ({"count": 0}, 0)
    site.parts = {"KubeRay": "1.6.2"}
    assert "queue" not in training(profile.write(site))["ray"]
    site.parts = {}
    assert "ray" not in training(profile.write(site))
    profile.read(site)


def test_the_way_to_kfp_is_kubectls_and_is_opened_again_when_it_ends(site, monkeypatch, tmp_path):
    """A real small kubectl, which opens the port that it is told to and ends after its first caller."""
    program = tmp_path / "bin" / "kubectl"
    program.parent.mkdir()
    program.write_text(
        "#!/usr/bin/env python3\nimport socket, sys\n"
        f"open({str(tmp_path / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        "place = socket.create_server(('127.0.0.1', int(sys.argv[-1].split(':')[0])))\nplace.accept()\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    address = kfp_access.forwarded(site, "kubeflow", "svc/ml-pipeline", 8888)
    port = address.rpartition(":")[2]
    calls = tmp_path / "calls"
    site.clock.until(lambda: calls.read_text().count("\n") > 1, 20, "kubectl was not started again")
    assert calls.read_text().splitlines()[0] == f"-n kubeflow port-forward svc/ml-pipeline {port}:8888"


def test_our_own_token_is_made_for_kfp(site):
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    assert kfp_access.token(site) == "token-of-pinclip-e2e-for-pipelines.kubeflow.org"
    (binding,) = site.server.all("rolebindings")
    assert binding["roleRef"]["name"] == "kubeflow-pipelines-edit"
