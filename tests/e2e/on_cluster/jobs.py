"""A program of the image, run to its end in a Job of the cluster, and what it printed."""

from collections.abc import Sequence
from typing import Any

from pipelines.cluster.profiles import DeployProfile
from tests.e2e.on_cluster import failure_details
from tests.e2e.on_cluster.cluster_clients import MINE, Site
from tests.e2e.on_cluster.steps import Failed

USER = 10001  # of deploy/Dockerfile
AS_STEP = {"pipelines.kubeflow.org/v2_component": "true"}  # what the NetworkPolicies know pipeline steps by


def run(site: Site, name: str, command: Sequence[str], seconds: float, pod: dict[str, Any], namespace: str = "") -> str:
    """What the program printed. `pod` holds labels, env, volumes and mounts, see of_step() and alone().

    Raises:
        Failed: it ended with an error, or not within the time.
    """
    where = namespace or site.namespace
    remove(site, name, where)
    site.ask(site.batch.create_namespaced_job, where, manifest(site, name, command, seconds, pod))
    finished(site, name, seconds, where)
    (pod_of_job,) = [one for one in site.pods(f"job-name={name}", where) if one.status.phase == "Succeeded"][:1]
    return "\n".join(failure_details.log(site, pod_of_job.metadata.name, "program", where))


def finished(site: Site, name: str, seconds: float, namespace: str) -> None:
    """Waits until a Job has succeeded.

    Raises:
        Failed: it failed, or is not through within the time.
    """

    def ended() -> str | None:
        """By its conditions: a Job with further tries has failed pods too."""
        job: Any = site.ask(site.batch.read_namespaced_job_status, name, namespace)
        now = {one.type for one in job.status.conditions or [] if one.status == "True"}
        return "done" if "Complete" in now else "failed" if "Failed" in now else None

    def seen() -> list[str]:
        return [
            *failure_details.of_object(site, name, namespace),
            *failure_details.of_pods(site, f"job-name={name}", namespace),
        ]

    if site.clock.until(ended, seconds, f"The Job {name} in {namespace} did not end", seen) == "failed":
        raise Failed(f"The Job {name} in {namespace} failed.", seen())


def remove(site: Site, name: str, namespace: str) -> None:
    site.ask(site.batch.delete_namespaced_job, name, namespace, propagation_policy="Foreground", none_for={404})

    def gone() -> bool:
        return site.ask(site.batch.read_namespaced_job, name, namespace, none_for={404}) is None

    site.clock.until(gone, 90, f"The Job {name} of an earlier call did not go")


def manifest(site: Site, name: str, command: Sequence[str], seconds: float, pod: dict[str, Any]) -> dict[str, Any]:
    """As strict as the overlay's own pods, unless `pod` asks for root."""
    root = pod.get("root", False)
    user = 0 if root else USER
    container = {
        "name": "program",
        "image": site.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "env": pod["env"],
        "resources": {"requests": {"cpu": "20m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "3Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], **({"add": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]} if root else {})},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *pod["mounts"]],
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            **{"runAsNonRoot": not root, "runAsUser": user, "runAsGroup": user, "fsGroup": user},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}}, *pod["volumes"]],
    }
    labels = {MINE: "true"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(seconds),
            "ttlSecondsAfterFinished": 3600,
            "template": {"metadata": {"labels": labels | pod["labels"]}, "spec": spec},
        },
    }


def of_step(profile: DeployProfile, pipeline: str, step: str) -> dict[str, Any]:
    """A pod that sees what the step of that name sees: variables, secrets, volumes, and the way to the servers."""
    asked = profile.step(pipeline, step)
    env: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in asked.env.items()]
    env += [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": key}}}
        for secret in asked.secrets
        for key, variable in (secret.env or {}).items()
    ]
    claims = [volume for volume in asked.volumes if volume.claim]
    return {
        "labels": AS_STEP,
        "env": env,
        "mounts": [{"name": one.claim, "mountPath": one.path} for one in claims],
        "volumes": [{"name": one.claim, "persistentVolumeClaim": {"claimName": one.claim}} for one in claims],
    }


def alone(env: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """A pod that sees nothing of the overlay's, for other namespaces."""
    return {"labels": {}, "env": list(env), "mounts": [], "volumes": []}
