"""No object of any overlay breaks a rule, and every rule finds what it forbids when a test plants it."""

from collections.abc import Callable

import pytest
from manifest_policy import containers, pod_spec, violations
from manifests import Object, objects

PLAIN = "postgresql://mlflow:hunter2@db/mlflow"
DENY_ALL = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("folder", ["base", "overlays/dev", "overlays/lab", "overlays/prod"])
def test_nothing_is_violated(folder):
    assert violations(objects(folder)) == []


def node(nodes: list[Object], kind: str, name: str) -> Object:
    (found,) = (one for one in nodes if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def encoder(change: Callable[[Object, Object], object]) -> Callable[[list[Object]], object]:
    """Plants something in the encoder's pod and container."""

    def plant(nodes: list[Object]) -> object:
        pod = pod_spec(node(nodes, "Deployment", "encoder"))
        return change(pod, containers(pod)[0])

    return plant


def rule(change: Callable[[Object], object]) -> Callable[[list[Object]], object]:
    """Plants something in the first rule of the steps' role."""
    return lambda nodes: change(node(nodes, "Role", "pinclip-pipeline")["rules"][0])


def security(**settings: object) -> Callable[[list[Object]], object]:
    return encoder(lambda pod, box: box["securityContext"].update(settings))


def without(kind: str) -> Callable[[list[Object]], object]:
    return lambda nodes: nodes.remove(next(one for one in nodes if one["kind"] == kind))


PLANTED = {
    "fixed version": encoder(lambda pod, box: box.update(image="registry.example.com:5000/pinclip-python:latest")),
    "no fixed version of the image pinclip-python": encoder(
        lambda pod, box: box.update(image="registry.example.com:5000/pinclip-python:0.1.0")
    ),
    "no fixed version of the image redis": encoder(lambda pod, box: box.update(image="redis")),
    "may run as root": security(runAsUser=0),
    "encoder may run as root": encoder(lambda pod, box: pod["securityContext"].pop("runAsNonRoot")),
    "is privileged": security(privileged=True),
    "may gain privileges": encoder(lambda pod, box: box["securityContext"].pop("allowPrivilegeEscalation")),
    "keeps capabilities": security(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}),
    "encoder keeps capabilities": security(capabilities={}),
    "no seccomp profile": encoder(lambda pod, box: pod["securityContext"].pop("seccompProfile")),
    "takes a port of the node": encoder(lambda pod, box: box["ports"][0].update(hostPort=8000)),
    "can write to its root": encoder(lambda pod, box: box["securityContext"].pop("readOnlyRootFilesystem")),
    "no limits of memory": encoder(lambda pod, box: box["resources"]["limits"].pop("memory")),
    "no requests of cpu": encoder(lambda pod, box: box.pop("resources")),
    "container init may run as root": encoder(
        lambda pod, box: pod.update(
            initContainers=[{"name": "init", "image": "a:1", "securityContext": {"runAsUser": 0}}]
        )
    ),
    "owner of every file": encoder(lambda pod, box: pod["securityContext"].pop("fsGroupChangePolicy")),
    "default service account": encoder(lambda pod, box: pod.pop("serviceAccountName")),
    "gets a token": encoder(lambda pod, box: pod.pop("automountServiceAccountToken")),
    "shares the node's hostNetwork": encoder(lambda pod, box: pod.update(hostNetwork=True)),
    "mounts a folder of the node": encoder(lambda pod, box: pod["volumes"].append({"name": "h", "hostPath": {}})),
    "PINCLIP_SERVE_TOKEN in plain": encoder(
        lambda pod, box: box["env"].append({"name": "PINCLIP_SERVE_TOKEN", "value": "hunter2"})
    ),
    "PINCLIP_MLFLOW_URI in plain": encoder(
        lambda pod, box: box["env"].append({"name": "PINCLIP_MLFLOW_URI", "value": PLAIN})
    ),
    "command in plain": encoder(lambda pod, box: box["command"].append(PLAIN)),
    "URI in plain text": lambda nodes: next(one for one in nodes if one["kind"] == "ConfigMap")["data"].update(
        URI=PLAIN
    ),
    "holds a secret": lambda nodes: nodes.append(
        {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}}
    ),
    "grants everything": rule(lambda one: one.update(verbs=["*"])),
    "grants every secret": rule(lambda one: one.update(resources=["secrets"])),
    "beyond its namespace": lambda nodes: node(nodes, "Role", "pinclip-pipeline").update(kind="ClusterRole"),
    "of another namespace": lambda nodes: node(nodes, "RoleBinding", "pinclip-pipeline")["subjects"][0].pop(
        "namespace"
    ),
    "opens a port": lambda nodes: node(nodes, "Service", "encoder")["spec"].update(type="LoadBalancer"),
    "allows ingress to all": lambda nodes: node(nodes, "NetworkPolicy", "redis")["spec"].update(ingress=[{}]),
    "allows egress to all": lambda nodes: node(nodes, "NetworkPolicy", "encoder")["spec"]["egress"][0].pop("to"),
    "denies by default": lambda nodes: node(nodes, "NetworkPolicy", "deny-all")["spec"].update(ingress=[{}]),
    "no ResourceQuota": without("ResourceQuota"),
    "no LimitRange": without("LimitRange"),
    "no ttlSecondsAfterFinished": lambda nodes: node(nodes, "CronJob", "mlflow-gc")["spec"]["jobTemplate"]["spec"].pop(
        "ttlSecondsAfterFinished"
    ),
}


@pytest.mark.parametrize("breach", PLANTED)
def test_what_is_planted_is_found(breach):
    nodes = objects("overlays/prod")
    PLANTED[breach](nodes)
    found = violations(nodes)
    assert any(breach in text for text in found), found
