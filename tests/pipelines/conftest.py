"""A Kubeflow Pipelines server that these tests may talk to, and the token it knows."""

import inspect
import sys
from collections.abc import Iterator

import pytest
from cluster_api import ClusterApi
from cluster_api import listening as cluster_listening
from kfp_server import NAMESPACE, TOKEN, KfpServer, listening


@pytest.fixture
def server() -> KfpServer:
    return KfpServer()


@pytest.fixture
def host(server: KfpServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Its address; at the end no request may have been one that KFP's OpenAPI file does not allow."""
    monkeypatch.setenv("PINCLIP_KFP_TOKEN", TOKEN)
    monkeypatch.setenv("PINCLIP_KFP_NAMESPACE", NAMESPACE)
    # The code of a schedule is in its digest: nobody's edit between two calls may make it another.
    monkeypatch.setattr("pipelines.lineage.git_revision", lambda folder: "a-commit")
    with listening(server) as address:
        yield address
    assert server.wrong == []


@pytest.fixture
def kubernetes(tmp_path, monkeypatch) -> Iterator[ClusterApi]:
    """A Kubernetes API behind KUBECONFIG that has all the cluster profile names, and Argo's `Always`."""
    api, home = ClusterApi(), "/api/v1/namespaces/pinclip"
    api.put(home, metadata={"labels": {"app.kubernetes.io/part-of": "kubeflow-profile"}})
    api.objects[home]["metadata"]["labels"] |= {"pipelines.kubeflow.org/enabled": "true", "pinclip.dev/queue": "true"}
    api.put("/version", gitVersion="v1.34.4")
    for account in ("pinclip-pipeline", "pinclip-ray"):
        api.put(f"{home}/serviceaccounts/{account}")
    for secret in ("pinclip-mlflow", "pinclip-redis", "pinclip-alerts"):
        api.put(f"{home}/secrets/{secret}")
    api.put(f"{home}/persistentvolumeclaims/pinclip-data", spec={}, status={"phase": "Bound"})
    kueue = "/apis/kueue.x-k8s.io/v1beta2"
    api.put(f"{kueue}/namespaces/pinclip/localqueues/pinclip", spec={"clusterQueue": "pinclip"})
    selector = {"matchLabels": {"pinclip.dev/queue": "true"}}
    api.put(f"{kueue}/clusterqueues/pinclip", spec={"namespaceSelector": selector})
    always = 'spec: {templateDefaults: {retryStrategy: {limit: "0", retryPolicy: Always}}}'
    config = "/api/v1/namespaces/kubeflow/configmaps/workflow-controller-configmap"
    api.put(config, data={"workflowDefaults": always})
    for name, namespace, image in (
        ("kuberay-operator", "default", "quay.io/kuberay/operator:v1.6.2"),
        ("kueue", "kueue-system", "registry.k8s.io/kueue/kueue:v0.17.8"),
    ):
        spec = {"template": {"spec": {"containers": [{"image": image}]}}}
        labels = {"app.kubernetes.io/name": name}
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        api.put(path, metadata={"labels": labels}, spec=spec)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with cluster_listening(api, tmp_path / "kubeconfig"):
        yield api


@pytest.fixture(scope="session", autouse=True)
def quick_stacks():
    """KFP calls inspect.stack() for every setting of a task, a hundred times a pipeline, and needs one name of it.
    What Python finds out besides takes a twentieth of a second each among the frames and modules of these tests.
    """

    def names(context: int = 1) -> list[inspect.FrameInfo]:
        frame, found = sys._getframe(1), []
        while frame:
            code = frame.f_code
            found.append(inspect.FrameInfo(frame, code.co_filename, frame.f_lineno, code.co_name, None, None))
            frame = frame.f_back
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspect, "stack", names)
        yield


@pytest.fixture(scope="session", autouse=True)
def compiled_once():
    """What is submitted and scheduled is compiled once for all tests: a second each time, of the same text."""
    from pipelines.cluster.compilation import Package, package

    known: dict[tuple, Package] = {}

    def once(pipeline, config, profile, **how):
        key = (pipeline, config.to_json(), profile.model_dump_json(), *sorted(how.items()))
        if key not in known:
            known[key] = package(pipeline, config, profile, **how)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.cluster.client.package", once)
        patch.setattr("pipelines.cluster.schedule_file.package", once)
        yield
