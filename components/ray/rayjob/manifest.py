"""The RayJob of a training, as Kubernetes takes it. Pure: settings in, a dictionary out.

Its submitter is a container beside Ray's head (SidecarMode): no pod of its own to wait for, no network between the
two, and Kueue counts it with the head. The fields are those of KubeRay 1.6 and newer.
"""

import shlex
from collections.abc import Sequence
from typing import Any

from components.kubernetes_types import duration_seconds
from components.ray.rayjob.settings import RayJob, RayNode

Object = dict[str, Any]

QUEUE = "kueue.x-k8s.io/queue-name"
CLUSTER = "ray.io/cluster"  # KubeRay's labels on pods
NODE_TYPE = "ray.io/node-type"
SUBMITTER = "ray-job-submitter"  # KubeRay's name of the container with the training's log
STARTING = 1800  # seconds that all pods have to come up; a claim or a secret that is missing ends it here
LOG_KEPT = 600  # seconds that the head stays after the end, so that its log can be read
USER = 10001  # of deploy/Dockerfile
STORE = 0.9  # of /dev/shm is Ray's object store: one that does not fit goes to the disk
# No sidecar of Istio in a Ray pod: it never ends, and its mutual TLS is between Ray's nodes. New Istios read the label,
# old ones the annotation.
NO_SIDECAR = {"sidecar.istio.io/inject": "false"}


def manifest(
    asked: RayJob, name: str, command: Sequence[str], pods: int, ray_version: str, owner: Object | None = None
) -> Object:
    """The RayJob `name` that runs `command` on its head once it has one.

    `pods` is the number of its worker pods, `owner` the ownerReference of what it goes with at the latest.
    """
    labels = {"app.kubernetes.io/name": "pinclip-training", "app.kubernetes.io/part-of": "pinclip"}
    workers = {"groupName": "workers", "replicas": pods, "minReplicas": pods, "maxReplicas": pods}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {
            "name": name,
            "labels": labels | ({QUEUE: asked.queue} if asked.queue else {}),
            **({"ownerReferences": [_owned(owner)]} if owner else {}),
        },
        "spec": {
            "entrypoint": shlex.join(command),
            "submissionMode": "SidecarMode",
            "suspend": asked.queue is not None,  # until Kueue lifts it
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": LOG_KEPT,
            "preRunningDeadlineSeconds": STARTING,
            "activeDeadlineSeconds": duration_seconds(asked.timeout),
            "backoffLimit": asked.retries,
            "rayClusterSpec": {
                "rayVersion": ray_version,  # KubeRay chooses probes by it
                "authOptions": {"mode": "token"},
                # No CPU of the head is Ray's to give: whatever trains does so in the workers.
                "headGroupSpec": _group(asked, asked.head, "ray-head", {"num-cpus": "0", "dashboard-host": "0.0.0.0"}),
                "workerGroupSpecs": [workers | _group(asked, asked.workers, "ray-worker", {})],
            },
        },
    }


def _owned(owner: Object) -> Object:
    """By a Workflow that others control, and that waits for nobody when it is deleted."""
    return {key: owner[key] for key in ("apiVersion", "kind", "name", "uid")}


def _group(asked: RayJob, node: RayNode, name: str, start: dict[str, str]) -> Object:
    store = {"object-store-memory": str(int(node.shared_bytes * STORE))}
    kept_alone: Object = {"labels": dict(NO_SIDECAR), "annotations": dict(NO_SIDECAR)}
    return {"rayStartParams": start | store, "template": {"metadata": kept_alone, "spec": _pod(asked, node, name)}}


def _pod(asked: RayJob, node: RayNode, name: str) -> Object:
    volumes, mounts = _volumes(asked, node)
    pod: Object = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            **{"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER},
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(asked, node, name, mounts)],
        "volumes": volumes,
    }
    if asked.service_account:
        pod["serviceAccountName"] = asked.service_account
    if asked.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in asked.image_pull_secrets]
    if node.node_selector:
        pod["nodeSelector"] = dict(node.node_selector)
    if node.tolerations:
        pod["tolerations"] = [one.model_dump(exclude_none=True) for one in node.tolerations]
    return pod


def _container(asked: RayJob, node: RayNode, name: str, mounts: list[Object]) -> Object:
    amounts = {"cpu": node.cpu, "memory": node.memory, "ephemeral-storage": node.storage}
    if node.gpu:
        amounts[node.gpu.type] = str(node.gpu.count)
    return {
        "name": name,
        "image": asked.image,
        "env": _environment(asked),
        "resources": {"requests": amounts | {"cpu": node.cpu_request or node.cpu}, "limits": amounts},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


def _environment(asked: RayJob) -> list[Object]:
    plain: list[Object] = [{"name": name, "value": value} for name, value in asked.env.items()]
    return plain + [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": key}}}
        for secret in asked.secrets
        for key, variable in (secret.env or {}).items()
    ]


def _volumes(asked: RayJob, node: RayNode) -> tuple[list[Object], list[Object]]:
    """The pod's volumes, and where its container mounts them."""
    places: list[tuple[str, str, Object]] = [
        ("data", asked.path, {"persistentVolumeClaim": {"claimName": asked.claim}}),
        ("tmp", "/tmp", {"emptyDir": {"sizeLimit": node.storage}}),
        ("shared-memory", "/dev/shm", {"emptyDir": {"medium": "Memory", "sizeLimit": str(node.shared_bytes)}}),
    ]
    places += [
        (f"secret-{one.name.replace('.', '-')}", one.path, {"secret": {"secretName": one.name}})
        for one in asked.secrets
        if one.path
    ]
    mounts: list[Object] = [{"name": name, "mountPath": path} for name, path, _ in places]
    return [{"name": name, **source} for name, _, source in places], mounts
