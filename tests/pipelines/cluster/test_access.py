"""Tokens and namespaces: what this process, a pod or not, tells KFP of itself."""

import base64
import json

import pytest
from cluster_api import ClusterApi
from cluster_api import listening as cluster_listening
from kfp_server import AUDIENCE
from kubernetes_server import TOKEN

from model.errors import ClusterError
from pipelines.cluster import access
from pipelines.cluster.access import Access, account_of_token
from pipelines.cluster.client import Cluster


def pods_token(account: str) -> str:
    """As Kubernetes mounts it: a JWT, whose `sub` names the account."""
    parts = ({"alg": "RS256"}, {"sub": f"system:serviceaccount:{account}", "aud": ["https://kubernetes.default.svc"]})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (*parts, {}))


@pytest.fixture
def pod(tmp_path, monkeypatch):
    """This process in a pod of the account pinclip-pipeline; yields the Kubernetes API that it sees."""
    from kubernetes import config

    api, folder = ClusterApi(), tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text(pods_token("pinclip:pinclip-pipeline"))
    (folder / "namespace").write_text("pinclip")
    monkeypatch.setattr(access, "POD", folder)
    monkeypatch.setattr("pipelines.cluster.kubernetes_view.POD", folder)
    for name in ("PINCLIP_KFP_TOKEN", "PINCLIP_KFP_NAMESPACE", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
    with cluster_listening(api, tmp_path / "kubeconfig"):

        def in_cluster(client_configuration) -> None:
            """What load_incluster_config does, at an address of the loopback."""
            config.load_kube_config(str(tmp_path / "kubeconfig"), client_configuration=client_configuration)

        monkeypatch.setattr(config, "load_incluster_config", in_cluster)
        yield api


def test_a_step_asks_for_a_token_that_kfp_takes(server, host, pod):
    server.audiences["a-token-for-kfp"] = AUDIENCE
    cluster = Cluster(host)
    cluster.check_token()
    assert cluster.namespace == "pinclip"  # the pod's own
    assert pod.tokens == [("/api/v1/namespaces/pinclip/serviceaccounts/pinclip-pipeline/token", [AUDIENCE])]


def test_the_pods_own_token_would_not_do(server, host, pod, monkeypatch):
    server.audiences[TOKEN] = "https://kubernetes.default.svc.cluster.local"
    monkeypatch.setenv("PINCLIP_KFP_TOKEN", TOKEN)
    with pytest.raises(ClusterError, match="made for others"):
        Cluster(host).check_token()


def test_an_account_that_may_ask_for_no_token_is_told(host, pod):
    pod.hidden = ("/api/v1/namespaces/pinclip/serviceaccounts",)
    with pytest.raises(ClusterError, match=r"gives pinclip-pipeline no token for KFP \(403\); let it `create`"):
        Cluster(host)


def test_outside_a_pod_nobody_is_asked(monkeypatch):
    monkeypatch.delenv("PINCLIP_KFP_TOKEN", raising=False)
    assert Access().bearer() is None
    assert Access().place() == ""


def test_the_account_is_read_from_the_token():
    assert account_of_token(pods_token("team-a:default-editor")) == "team-a:default-editor"
