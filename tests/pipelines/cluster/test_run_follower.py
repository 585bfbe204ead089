"""What the cluster says before and while a run is at work: names that are missing, pods that do not start, the end."""

from datetime import UTC, datetime, timedelta

import pytest

from components.configuration import load
from model.errors import ClusterError
from pipelines.cluster import run_follower
from pipelines.cluster.client import submit
from pipelines.cluster.profiles import read_profile
from pipelines.cluster.run_follower import Follower
from pipelines.cluster.schedules import SCHEDULES, changes, lacking

CONFIG_MAP = "/api/v1/namespaces/kubeflow/configmaps/workflow-controller-configmap"
HOME = "/api/v1/namespaces/pinclip"
QUEUE = "/apis/kueue.x-k8s.io/v1beta2/namespaces/pinclip/localqueues/pinclip"


def send(host: str) -> tuple[Follower, str, list[str]]:
    said: list[str] = []
    cluster, run_id = submit(host, "pinclip", "/data/pins", load("smoke"), read_profile("cluster"), said.append)
    return Follower(cluster), run_id, said


@pytest.mark.parametrize(
    ("absent", "says"),
    [
        (QUEUE, "no LocalQueue pinclip, so a training would wait for ever"),
        (f"{HOME}/serviceaccounts/pinclip-pipeline", "has no service account pinclip-pipeline"),
        (f"{HOME}/secrets/pinclip-mlflow", "has no secret pinclip-mlflow"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_made(server, host, kubernetes, absent, says):
    del kubernetes.objects[absent]
    with pytest.raises(ClusterError, match=says):
        send(host)
    with pytest.raises(ClusterError, match=says):
        lacking(*changes(host, SCHEDULES))
    assert not server.rows["runs"] and not server.rows["pipelines"] and not server.rows["recurring_runs"]


def test_a_server_that_is_too_old_is_told_before_anything_is_made(server, host, kubernetes):
    server.version = "2.15.2"
    says = "KFP 2.15.2 is too old; 2.16 or newer is needed"
    with pytest.raises(ClusterError, match=says):
        send(host)
    with pytest.raises(ClusterError, match=says):
        lacking(*changes(host, SCHEDULES))
    assert not server.rows["runs"] and not server.rows["pipelines"]


@pytest.mark.parametrize(
    ("operator", "image", "says"),
    [
        (
            "default/deployments/kuberay-operator",
            "quay.io/kuberay/operator:v1.5.1",
            "KubeRay v1.5.1 is too old; 1.6 or",
        ),
        ("kueue-system/deployments/kueue", "registry.k8s.io/kueue/kueue:v0.17.6", "Kueue v0.17.6 is too old; 0.17.7"),
    ],
)
def test_an_operator_that_is_too_old_is_told_before_anything_is_made(server, host, kubernetes, operator, image, says):
    deployment = kubernetes.objects[f"/apis/apps/v1/namespaces/{operator}"]
    deployment["spec"]["template"]["spec"]["containers"] = [{"image": image}]
    with pytest.raises(ClusterError, match=says):
        send(host)
    assert not server.rows["runs"]


def test_labels_that_kfp_goes_by_are_asked_for_when_a_run_starts(server, host, kubernetes):
    del kubernetes.objects[HOME]["metadata"]["labels"]["app.kubernetes.io/part-of"]
    (only,) = send(host)[2]
    assert only == (
        "The namespace pinclip lacks labels that KFP goes by; "
        "`kubectl label namespace pinclip --overwrite app.kubernetes.io/part-of=kubeflow-profile`."
    )


def test_what_argo_will_not_try_again_is_said_and_the_run_starts(server, host, kubernetes):
    kubernetes.put(CONFIG_MAP, data={})
    _, _, said = send(host)
    assert len(said) == 1
    assert said[0].startswith(
        "A step whose pod is deleted, drained or evicted is not tried again: under workflowDefaults"
    )
    assert len(server.rows["runs"]) == 1


def test_a_cluster_that_shows_nothing_is_taken_as_it_is(server, host, kubernetes):
    kubernetes.hidden = ("/api", "/apis")
    assert send(host)[2] == []


def test_a_run_is_followed_to_its_end(server, host, monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setattr(run_follower, "PAUSE", 0.0)
    follower, run_id, _ = send(host)
    assert list(follower.to_the_end(run_id)) == ["running", "succeeded"]
    server.failing.add(server.rows["runs"][run_id]["display_name"])
    server.rows["runs"][run_id]["state"] = "PENDING"
    with pytest.raises(ClusterError, match="The run ended as FAILED; http"):
        list(follower.to_the_end(run_id))


def test_a_pod_that_does_not_start_is_told_once(server, host, kubernetes):
    follower, run_id, _ = send(host)
    made = (datetime.now(UTC) - timedelta(minutes=6)).isoformat()
    waiting = {"reason": "ErrImagePull", "message": 'rpc error: "r/i:9": not found'}
    status = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
    meta = {"name": "train-1", "labels": {"pipeline/runid": run_id}, "creationTimestamp": made}
    kubernetes.put(f"{HOME}/pods/train-1", metadata=meta, status=status)
    assert list(follower.waiting(run_id)) == [
        'The pod train-1 has not started in 5 min: ErrImagePull: rpc error: "r/i:9": not found'
    ]
    assert list(follower.waiting(run_id)) == []
    meta["labels"]["pipeline/runid"] = "another"
    status["containerStatuses"][0]["state"]["waiting"]["message"] = "new"
    assert list(follower.waiting(run_id)) == []
