"""`pinclip doctor --cluster` on clusters of every kind: versions, labels, rights, names, and Argo's retries."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.cluster import argo_retries
from pipelines.cluster.doctor import cluster_checks, floor
from pipelines.cluster.profiles import read_profile
from pipelines.cluster.versions import FLOORS

CONFIG_MAP = "/api/v1/namespaces/kubeflow/configmaps/workflow-controller-configmap"
HOME = "/api/v1/namespaces/pinclip"


def found(host: str) -> dict[str, list[tuple[str, str, str]]]:
    """Name -> (state, found, advice) of its checks."""
    table: dict[str, list[tuple[str, str, str]]] = {}
    for check in cluster_checks(host, read_profile("cluster")):
        table.setdefault(check.name, []).append((check.state, check.found, check.advice))
    return table


def test_a_cluster_as_it_should_be(server, host, kubernetes):
    server.version = "2.17.0"
    table = found(host)
    assert {state for checks in table.values() for state, _, _ in checks} == {"ok"}
    assert table["KFP"] == [("ok", "2.17.0", "")]
    assert table["KubeRay"] == [("ok", "1.6.2", "")]
    assert table["Kueue"] == [("ok", "0.17.8", "")]
    assert [checks[1] for checks in table["account"]] == ["pinclip-pipeline has the rights of a step"]


@pytest.mark.parametrize(
    ("name", "version", "state"),
    [
        ("KFP", "2.16.1", "ok"),
        ("KFP", "2.15.2", "fail"),
        ("KFP", "unknown", "warn"),  # a build of one's own does not say it
        ("Kueue", "v0.17.7", "ok"),
        ("Kueue", "v0.17.6", "fail"),
        ("Kueue", "v0.18.0", "ok"),
        ("KubeRay", "v1.5.1", "fail"),
        ("Kubernetes", "v1.27.3+k3s1", "ok"),
        ("Kubernetes", "v1.26.9", "fail"),
    ],
)
def test_floors(name, version, state):
    assert floor(name, version).state == state


def test_the_floors_are_those_of_the_documentation():
    text = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    for name, needed in FLOORS.items():
        name = "Kubeflow Pipelines" if name == "KFP" else name
        assert f"| {name} | {'.'.join(map(str, needed))} |" in text


def test_the_account_that_runs_schedules_is_looked_at_where_kfp_takes_another_one(server, host, kubernetes):
    kubernetes.rights = {("pinclip-pipeline", verb, kind) for verb, kind in granted()}
    own, default = found(host)["account"]
    assert own[0] == "ok"
    assert default[:2] == (
        "fail",
        "default-editor may not create rayjobs, get rayjobs, list rayjobs and 11 more"
        " (KFP up to 2.16 runs schedules as this account)",
    )
    assert default[2] == "bind the Roles pinclip-pipeline and pinclip-runs to it in pinclip"


def granted() -> set[tuple[str, str]]:
    rayjobs = {(verb, "rayjobs") for verb in ("create", "get", "list", "watch", "delete")}
    pods = {(verb, "pods") for verb in ("get", "list", "watch")} | {("get", "pods/log")}
    results = {("create", "workflowtaskresults"), ("patch", "workflowtaskresults")}
    return rayjobs | pods | results | {("get", "configmaps"), ("get", "secrets"), ("create", "serviceaccounts/token")}


@pytest.mark.parametrize(
    ("data", "policy", "wrong"),
    [
        ({}, "OnFailure", "whose pod is deleted, drained or evicted is not tried again"),  # KFP 2.16
        (
            {"workflowDefaults": "spec: {templateDefaults: {retryStrategy: {limit: '2', retryPolicy: OnError}}}"},
            "OnError",
            "a step that fails is not tried again",
        ),  # KFP 2.17
        (
            {"workflowDefaults": "spec: {templateDefaults: {retryStrategy: {limit: 2, retryPolicy: Always}}}"},
            "Always",
            "has its whole pipeline run again",
        ),
        (
            {"workflowDefaults": "spec: {templateDefaults: {retryStrategy: {limit: 0, retryPolicy: Always}}}"},
            "Always",
            "",
        ),
        ({"config": "workflowDefaults: {spec: {ttlStrategy: {}}}"}, "OnFailure", "is not tried again"),
    ],
)
def test_which_half_of_the_failures_is_tried_again(server, host, kubernetes, data, policy, wrong):
    kubernetes.put(CONFIG_MAP, data=data)
    (state, says, advice) = found(host)["retries"][0]
    assert (state, wrong in says) == ("warn" if wrong else "ok", True)
    assert ('`limit: "0"` and `retryPolicy: Always`' in advice) == bool(wrong)
    assert argo_retries.read_policy(data.get("workflowDefaults")).name == policy


def test_labels_that_kfp_goes_by_are_told_with_the_command(server, host, kubernetes):
    kubernetes.put(HOME, metadata={"labels": {"app.kubernetes.io/part-of": "pinclip"}})
    (state, _, advice) = found(host)["namespace"][0]
    assert state == "warn"
    assert advice.startswith("kubectl label namespace pinclip --overwrite app.kubernetes.io/part-of=kubeflow-profile")


def test_the_operator_of_rays_is_found_however_it_was_installed(server, host, kubernetes):
    """Kustomize names its Deployment otherwise than Helm."""
    path = "/apis/apps/v1/namespaces/default/deployments/kuberay-operator"
    kubernetes.objects[path]["metadata"]["labels"] = {"app.kubernetes.io/name": "kuberay"}
    assert found(host)["KubeRay"] == [("ok", "1.6.2", "")]


def test_a_namespace_that_the_queue_does_not_take_is_told(server, host, kubernetes):
    del kubernetes.objects[HOME]["metadata"]["labels"]["pinclip.dev/queue"]
    (only,) = found(host)["profile"]
    assert (only[0], only[2]) == ("fail", "`kubectl label namespace pinclip --overwrite pinclip.dev/queue=true`")
    assert "ClusterQueue pinclip takes nothing from the namespace pinclip" in only[1]


@pytest.mark.parametrize(
    ("absent", "says"),
    [
        (f"{HOME}/serviceaccounts/pinclip-ray", "has no service account pinclip-ray"),
        (f"{HOME}/secrets/pinclip-redis", "has no secret pinclip-redis"),
        (f"{HOME}/persistentvolumeclaims/pinclip-data", "has no volume claim pinclip-data"),
        ("/apis/kueue.x-k8s.io/v1beta2/namespaces/pinclip/localqueues/pinclip", "has no LocalQueue pinclip"),
    ],
)
def test_what_the_profile_names_and_nobody_has_made(server, host, kubernetes, absent, says):
    del kubernetes.objects[absent]
    (only,) = found(host)["profile"]
    assert only[0] == "fail"
    assert says in only[1]


def test_a_claim_without_a_class_is_told(server, host, kubernetes):
    spec, status = {"accessModes": ["ReadWriteMany"]}, {"phase": "Pending"}
    kubernetes.put(f"{HOME}/persistentvolumeclaims/pinclip-data", spec=spec, status=status)
    assert "names no storage class and none is the default" in found(host)["profile"][0][1]


def test_a_pod_that_cannot_start_is_told_after_five_minutes(server, host, kubernetes):
    def pod(name: str, minutes: int, waiting: dict) -> None:
        made = datetime.now(UTC) - timedelta(minutes=minutes)
        labels = {"pipelines.kubeflow.org/v2_component": "true"}
        meta = {"name": name, "labels": labels, "creationTimestamp": made.isoformat()}
        status = {"phase": "Pending", "containerStatuses": [{"name": "main", "state": {"waiting": waiting}}]}
        kubernetes.put(f"{HOME}/pods/{name}", metadata=meta, status=status)

    pod("young", 4, {"reason": "ImagePullBackOff", "message": "Back-off pulling image"})
    assert found(host)["pods"][0][0] == "ok"
    pod("old", 6, {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "r/i:9"'})
    (only,) = found(host)["pods"]
    assert only[:2] == ("fail", 'old does not start: ImagePullBackOff: Back-off pulling image "r/i:9"')


def test_what_is_hidden_is_said_and_not_guessed(server, host, kubernetes):
    kubernetes.hidden = ("/api/", "/apis/")
    table = found(host)
    states = {name: {state for state, _, _ in checks} for name, checks in table.items()}
    assert states["KubeRay"] == states["Kueue"] == states["rights"] == {"warn"}
    assert "fail" not in {state for one in states.values() for state in one}


def test_without_a_way_to_kubernetes_kfp_alone_is_looked_at(server, host, monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert {name: checks[0][0] for name, checks in found(host).items()} == {
        "KFP's API": "ok",
        "KFP": "ok",
        "Kubernetes": "warn",
    }


def test_a_token_that_kfp_refuses_is_a_finding(server, host, monkeypatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("PINCLIP_KFP_TOKEN", "old")
    assert found(host)["KFP's API"][0][0] == "fail"
