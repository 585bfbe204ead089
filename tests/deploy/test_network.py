"""Who reaches whom: what the labels of the namespace open, and where ports and namespaces of others are said once."""

import os
import subprocess

import pytest
import yaml
from manifests import KUSTOMIZE, objects, the

FOLDERS = ["base", "overlays/dev", "overlays/lab", "overlays/prod"]
STEPS = {"matchLabels": {"pipelines.kubeflow.org/v2_component": "true"}}


def with_overlay(tmp_path, text: str) -> list[dict]:
    """What kubectl builds of an overlay written into `tmp_path`."""
    path = os.path.relpath(KUSTOMIZE, tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(text.replace("KUSTOMIZE", path))
    done = subprocess.run(
        ["kubectl", "kustomize", str(tmp_path)], capture_output=True, text=True, timeout=60, check=True
    )
    return [node for node in yaml.safe_load_all(done.stdout) if node]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_namespace_has_the_labels_that_kfp_and_kueue_select_by(folder):
    (labels,) = (node["metadata"]["labels"] for node in objects(folder) if node["kind"] == "Namespace")
    assert labels["app.kubernetes.io/part-of"] == "kubeflow-profile"
    assert labels["pipelines.kubeflow.org/enabled"] == "true"
    assert labels["istio-injection"] == "disabled"
    for queue in ("queue", "queue/lab"):
        (found,) = (node for node in objects(queue) if node["kind"] == "ClusterQueue")
        assert found["spec"]["namespaceSelector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("service", ["encoder", "features"])
def test_a_reader_of_models_is_let_out_to_services_of_its_own_namespace_alone(folder, service):
    """So that MLflow's client must not be sent to S3 itself: components/registry/tracking.py."""
    out = the(folder, "NetworkPolicy", service)["spec"]["egress"]
    assert all(set(peer) == {"podSelector"} for rule in out for peer in rule["to"])
    labels = the(folder, "Deployment", service)["spec"]["template"]["metadata"]["labels"]
    for node in objects(folder):
        if node["kind"] == "NetworkPolicy" and "ipBlock" in str(node["spec"]):
            chosen = node["spec"]["podSelector"]
            assert not chosen.get("matchLabels", {"": ""}).items() <= labels.items()
            for one in chosen.get("matchExpressions", ()):
                assert one["operator"] == "In" and labels[one["key"]] not in one["values"]


def test_another_port_of_s3_is_said_in_one_place(tmp_path):
    text = (KUSTOMIZE / "base/network_outside.yaml").read_text()
    comment = text.split("apiVersion")[0]
    patch = "\n".join(line.removeprefix("#     ") for line in comment.splitlines() if line.startswith("#     "))
    built = with_overlay(tmp_path, "resources: [KUSTOMIZE/base]\npatches:\n" + patch + "\n")
    ports = {
        node["metadata"]["name"]: [port["port"] for rule in node["spec"]["egress"] for port in rule["ports"]]
        for node in built
        if node["kind"] == "NetworkPolicy" and node["metadata"]["name"].startswith("s3-")
    }
    assert ports == {"s3-from-mlflow": [9000], "s3-from-steps": [9000]}
    assert "443" not in str([node for node in built if node["metadata"]["name"] == "mlflow"])


def test_rays_head_is_reached_by_the_operator_wherever_it_was_installed():
    peers = the("base", "NetworkPolicy", "ray")["spec"]["ingress"][1]["from"]
    operator = {"matchLabels": {"app.kubernetes.io/component": "kuberay-operator"}}
    assert all(peer["podSelector"] == operator for peer in peers)
    assert {"matchLabels": {"pinclip.dev/ray-operator": "true"}} in [peer["namespaceSelector"] for peer in peers]


def test_under_cilium_steps_reach_the_api_server(tmp_path):
    text = "resources: [KUSTOMIZE/overlays/lab]\ncomponents: [KUSTOMIZE/components/cilium]\n"
    (found,) = (node for node in with_overlay(tmp_path, text) if node["kind"] == "CiliumNetworkPolicy")
    assert found["spec"] == {"endpointSelector": STEPS, "egress": [{"toEntities": ["kube-apiserver"]}]}


@pytest.mark.parametrize("folder", FOLDERS)
def test_steps_reach_the_api_server_on_the_ports_of_small_clusters(folder):
    spec = the(folder, "NetworkPolicy", "kubernetes-from-steps")["spec"]
    assert spec["podSelector"] == STEPS
    assert {port["port"] for port in spec["egress"][0]["ports"]} == {443, 6443, 8443, 16443}


def test_the_ingresses_name_their_class_and_take_what_the_services_take():
    from serving.service.config import ServiceConfig

    for name in ("mlflow", "encoder"):
        assert the("overlays/prod", "Ingress", name)["spec"]["ingressClassName"] == "nginx"
    size = "nginx.ingress.kubernetes.io/proxy-body-size"
    encoder = the("overlays/prod", "Ingress", "encoder")["metadata"]["annotations"][size]
    assert int(encoder.removesuffix("m")) * 2**20 >= ServiceConfig().max_bytes
    mlflow = the("overlays/prod", "Ingress", "mlflow")["metadata"]["annotations"][size]
    volumes = the("overlays/prod", "Deployment", "mlflow")["spec"]["template"]["spec"]["volumes"]
    (tmp,) = (one["emptyDir"]["sizeLimit"] for one in volumes if one["name"] == "tmp")
    assert int(mlflow.removesuffix("g")) == int(tmp.removesuffix("Gi"))
