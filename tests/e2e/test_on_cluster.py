"""`make e2e-cluster` against a played cluster: real kubectl, real `pinclip`, the overlay and profile of deploy/."""

import json
import shutil

import api_server
import kfp_server
import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app
from tests.e2e.on_cluster import __main__ as command
from tests.e2e.on_cluster import cluster_clients, end_delay, runs, schedules, steps
from tests.e2e.on_cluster.__main__ import STEPS, main
from tests.e2e.simulated_cluster import Played, deployment

pytestmark = [
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed"),
]


@pytest.fixture
def on(tmp_path, monkeypatch):
    """Call with a played cluster and arguments: exit code, and the steps of the report by name."""

    def call(played, *arguments, token=kfp_server.TOKEN):
        kubeconfig = tmp_path / "kubeconfig"
        with api_server.listening(played.k8s, kubeconfig), kfp_server.listening(played) as host:
            monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
            monkeypatch.setenv("PINCLIP_KFP_HOST", host)
            monkeypatch.setenv("PINCLIP_KFP_TOKEN", token)
            monkeypatch.setenv("PINCLIP_KFP_NAMESPACE", "")  # what main() sets is taken back too
            monkeypatch.delenv("PINCLIP_KFP_NAMESPACE")  # each call is a process of its own
            code = main(["--image", "registry.example.com:5000/pinclip:7", *arguments])
        assert (played.wrong, played.k8s.wrong) == ([], [])
        file = tmp_path / "runs" / "latest" / "report.json"
        found = json.loads(file.read_text())["steps"] if file.is_file() else []
        return code, {one["step"]: one for one in found}

    def pinclip(command, stdin=None, seconds=0.0):
        """In this process, for each start of one takes seconds."""
        if command[0] != runs.PINCLIP:
            return cluster_clients.program(command, stdin, seconds)
        done = CliRunner().invoke(app, list(command[1:]), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    monkeypatch.setattr(steps, "PAUSE", 0.05)
    monkeypatch.setattr(kfp_server, "NAMESPACE", cluster_clients.NAMESPACE, raising=False)
    monkeypatch.setattr(runs, "program", pinclip)
    monkeypatch.setattr(schedules, "program", pinclip)
    monkeypatch.setattr(command, "RUNS", str(tmp_path / "runs"))
    return call


def states(report):
    return {name: one["state"] for name, one in report.items() if one["state"] != "passed"}


def test_every_step_passes_on_a_cluster_with_all_parts_and_delete_takes_all_away(on, capsys, tmp_path):
    played = Played()
    code, report = on(played)
    out = capsys.readouterr().out
    assert (code, states(report)) == (0, {}), out
    assert list(report) == [step.name for step in STEPS]
    assert "Kubernetes 1.34.4, KFP 2.16.1, Argo 3.7.8, KubeRay 1.6.2, Kueue 0.17.8" in out
    assert played.aliases == {"champion": 1}  # of the smoke run; the schedule's runs go on meanwhile
    assert len(played.versions) == 3
    images = {
        box["image"]
        for kind in ("deployments", "jobs")
        for one in played.k8s.all(kind, "pinclip-lab")
        for box in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {"registry.example.com:5000/pinclip:7"}
    assert played.k8s.all("rayjobs") == []
    assert all(one["seconds"] >= 0 for one in report.values())
    page = (tmp_path / "runs" / "latest" / "report.md").read_text()
    assert f"{len(STEPS)} passed, 0 failed, 0 not tried" in page
    assert played.rows["recurring_runs"] == {}

    assert on(played, "--delete")[0] == 0
    left = {one["metadata"]["name"] for one in played.k8s.all("namespaces")}
    assert left == {"kubeflow", "kuberay-operator", "kueue-system"}
    assert played.k8s.all("clusterqueues") == []


def test_what_the_cluster_lacks_is_not_tried_and_never_passed(on, capsys):
    played = Played()
    played.k8s.without("kueue.x-k8s.io")
    code, report = on(played, "--only", "versions", "--only", "queue", "--only", "Kueue suspends a training")
    assert code == 0
    assert report["versions"]["said"].endswith("absent: Kueue.")
    for name in ("queue", "Kueue suspends a training"):
        assert (report[name]["state"], report[name]["said"]) == ("not tried", "This cluster has no Kueue.")
    assert report["smoke run"]["said"] == "Left out by --only."
    assert "2 passed" not in capsys.readouterr().out


def test_a_cluster_that_is_too_old_is_one_sentence_and_nothing_is_made(on):
    played = Played()
    played.k8s.put(deployment("kueue-controller-manager", "kueue-system", "registry.k8s.io/kueue/kueue:v0.16.1"))
    code, report = on(played)
    assert code == 1
    assert report["versions"]["said"].startswith("Kueue 0.16.1 is older than 0.17.7. Found: Kubernetes 1.34.4, KFP")
    assert report["overlay"]["said"] == "It needs the step 'versions', which has not passed."
    assert played.k8s.one("namespaces", cluster_clients.NAMESPACE) is None
    assert played.k8s.all("clusterqueues") == []


def test_a_missing_right_and_a_missing_class_are_named(on):
    played = Played()
    played.k8s.refused = {("create", "rolebindings"), ("delete", "namespaces")}
    played.k8s.one("storageclasses", "standard")["metadata"]["annotations"] = {}
    played.k8s.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "second"}})
    code, report = on(played, "--only", "rights", "--only", "storage class")
    assert code == 1
    said = report["rights"]["said"]
    assert "create rolebindings.rbac.authorization.k8s.io in pinclip-lab, delete namespaces;" in said
    assert report["storage class"]["said"].startswith("No storage class is the default (there is: standard)")


def test_without_a_default_class_the_only_node_gives_folders_and_delete_clears_them(on):
    played = Played()
    played.k8s.one("storageclasses", "standard")["metadata"]["annotations"] = {}
    code, report = on(played, *only("storage class", "overlay"))
    assert (code, report["overlay"]["state"]) == (0, "passed"), report["overlay"]
    volumes = {one["spec"]["claimRef"]["name"]: one["spec"] for one in played.k8s.all("persistentvolumes")}
    assert set(volumes) == {"pinclip-data", "data-redis-0"}
    assert volumes["pinclip-data"]["hostPath"]["path"] == "/var/lib/pinclip-e2e/pinclip-data"
    claim = played.k8s.one("persistentvolumeclaims", "pinclip-data", cluster_clients.NAMESPACE)["spec"]
    (template,) = played.k8s.one("statefulsets", "redis", cluster_clients.NAMESPACE)["spec"]["volumeClaimTemplates"]
    assert {claim["storageClassName"], template["spec"]["storageClassName"]} == {
        volumes["pinclip-data"]["storageClassName"]
    }
    (job,) = played.k8s.all("jobs", "pinclip-e2e-volumes")
    (box,) = job["spec"]["template"]["spec"]["containers"]
    assert set(box["command"][3:]) == {"/volumes/data-redis-0:999", "/volumes/pinclip-data:10001"}
    assert on(played, "--delete")[0] == 0
    assert played.k8s.all("persistentvolumes") == []
    assert played.k8s.one("namespaces", "pinclip-e2e-volumes") is None


def test_an_account_without_its_rights_is_named(on):
    played = Played()
    played.k8s.refused_accounts = {("default-editor", "configmaps")}
    code, report = on(played, *only("versions", "rights", "storage class", "queue", "overlay", "labels and accounts"))
    assert (code, states(report).get("overlay")) == (1, None)
    said = report["labels and accounts"]["said"]
    assert said == "The account default-editor may not get configmaps kfp-launcher."


def test_a_token_that_kfp_refuses_gives_way_to_one_of_our_own(on):
    played = Played()
    code, report = on(played, *only("overlay", "KFP answers"), token="of-somebody-else")
    assert code == 0, report["KFP answers"]
    said = report["KFP answers"]["said"]
    assert "as pinclip-e2e, by a token of ours; that of PINCLIP_KFP_TOKEN is refused: " in said


def test_a_training_that_hangs_is_told_as_late_and_the_steps_after_it_go_on(on):
    played = Played(hangs=3.0)
    steps_of = ("overlay", "KFP answers", "catalogue", "smoke run", "a training that succeeds at once")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(end_delay, "SOON", 1.0)
        code, report = on(played, *only(*steps_of, "services after the first publication"))
    assert code == 1
    assert "told late: train after" in report["a training that succeeds at once"]["said"]
    assert report["services after the first publication"]["state"] == "passed"


def test_a_deleted_pod_that_nobody_tries_again_must_take_its_rayjob_with_it(on):
    played = Played()
    played.retries_deleted_pods = False
    code, report = on(played, *only("overlay", "KFP answers", "catalogue", "a train pod is deleted"))
    assert code == 0
    assert report["a train pod is deleted"]["said"].startswith("This Argo tries no deleted pod again")


def test_a_network_that_lets_everybody_in_fails(on):
    played = Played(lets_all_in=True)
    played.versions, played.serving = [{"version": 1, "pinclip.gate": "passed"}], "v1"
    code, report = on(played, *only("overlay", "no answer for another namespace"))
    assert code == 1
    assert "enforces no NetworkPolicies" in report["no answer for another namespace"]["said"]


def test_what_was_there_before_stays(on, capsys):
    played = Played()
    mine = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster_clients.NAMESPACE}}
    played.k8s.made(mine)
    assert on(played, *only("overlay"))[0] == 0
    assert on(played, "--delete")[0] == 0
    assert (
        f"The namespace {cluster_clients.NAMESPACE} was there before; the overlay in it stays."
        in capsys.readouterr().out
    )
    assert played.k8s.one("deployments", "mlflow", cluster_clients.NAMESPACE) is not None


def test_an_unknown_step_is_one_sentence(on, capsys):
    assert on(Played(), "--only", "nothing")[0] == 2
    assert "There is no step 'nothing'; choose of: versions, rights" in capsys.readouterr().err


def only(*names):
    """The options that leave out all other steps; what is not named is taken for done, so the parts are found first."""
    return [word for name in ("versions", *names) for word in ("--only", name)]
