"""What no object of deploy/kustomize may be: one rule a function, each yields a sentence for every breach."""

import re
from collections.abc import Iterator

from manifests import Object

TALKS_TO_KUBERNETES = {"pinclip-pipeline", "default-editor"}  # accounts of pipeline steps: they have a token
OURS = "pinclip-python"
FIXED_TAG = re.compile(r"[0-9a-f]{12,40}|lab")  # a commit; `lab` is brought to the node by hand, no registry has it
SECRET_NAME = re.compile(r"password|passwd|token|secret|access_key|api_key|credential", re.IGNORECASE)
PASSWORD_IN_URL = re.compile(r"://[^/\s:@]+:[^/\s@]+@")
OPEN_TYPES = ("NodePort", "LoadBalancer")


def violations(objects: list[Object]) -> list[str]:
    """The breaches of all rules, each with the object's kind and name before it."""
    found = [f"{node['kind']} {node['metadata']['name']}: {text}" for node in objects for text in _breaches(node)]
    return found + list(_missing(objects))


def _breaches(node: Object) -> Iterator[str]:
    yield from _plain_secrets(node)
    yield from _rights(node)
    yield from _doors(node)
    if (pod := pod_spec(node)) is not None:
        yield from _pod(pod)
        for container in containers(pod):
            for rule in (_image, _root, _privilege, _root_file_system, _resources):
                yield from (f"container {container['name']} {text}" for text in rule(container, pod))
    if node["kind"] in ("Job", "CronJob"):
        job = node["spec"] if node["kind"] == "Job" else node["spec"]["jobTemplate"]["spec"]
        yield from (f"has no {key}" for key in ("ttlSecondsAfterFinished", "activeDeadlineSeconds") if key not in job)


def pod_spec(node: Object) -> Object | None:
    """The pod that an object makes, if it makes any."""
    kind, spec = node["kind"], node.get("spec", {})
    if kind == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec if kind == "Pod" else spec.get("template", {}).get("spec")


def containers(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def _image(container: Object, pod: Object) -> Iterator[str]:
    name, _, tag = container["image"].rpartition("/")[2].partition(":")
    if "@sha256:" in container["image"]:
        return
    if tag in ("", "latest") or (name == OURS and not FIXED_TAG.fullmatch(tag)):
        yield f"has no fixed version of the image {name}"


def _root(container: Object, pod: Object) -> Iterator[str]:
    context = pod.get("securityContext", {}) | container.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
        yield "may run as root"


def _privilege(container: Object, pod: Object) -> Iterator[str]:
    context = pod.get("securityContext", {}) | container.get("securityContext", {})
    if context.get("privileged"):
        yield "is privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if "ALL" not in context.get("capabilities", {}).get("drop", ()) or context["capabilities"].get("add"):
        yield "keeps capabilities"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "takes a port of the node"


def _root_file_system(container: Object, pod: Object) -> Iterator[str]:
    if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
        yield "can write to its root file system"


def _resources(container: Object, pod: Object) -> Iterator[str]:
    for part in ("requests", "limits"):
        given = container.get("resources", {}).get(part, {})
        yield from (f"has no {part} of {name}" for name in ("cpu", "memory", "ephemeral-storage") if name not in given)


def _pod(pod: Object) -> Iterator[str]:
    account = pod.get("serviceAccountName", "default")
    if account == "default":
        yield "runs under the default service account"
    if account not in TALKS_TO_KUBERNETES and pod.get("automountServiceAccountToken") is not False:
        yield "gets a token for Kubernetes"
    yield from (f"shares the node's {key}" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key))
    if any("hostPath" in volume for volume in pod.get("volumes", ())):
        yield "mounts a folder of the node"
    context = pod.get("securityContext", {})
    if "fsGroup" in context and context.get("fsGroupChangePolicy") != "OnRootMismatch":
        yield "has the owner of every file of its volumes set at each start"


def _plain_secrets(node: Object) -> Iterator[str]:
    if node["kind"] == "Secret":
        yield "holds a secret in plain text; refer to one"
    texts = list((node.get("data") or {}).items()) if node["kind"] == "ConfigMap" else []
    for container in containers(pod_spec(node) or {"containers": []}):
        texts += [(variable["name"], variable["value"]) for variable in container.get("env", ()) if "value" in variable]
        texts += [("command", word) for word in [*container.get("command", ()), *container.get("args", ())]]
    for name, text in texts:
        if SECRET_NAME.search(name) or PASSWORD_IN_URL.search(text):
            yield f"has {name} in plain text; refer to a secret"


def _rights(node: Object) -> Iterator[str]:
    if node["kind"] in ("ClusterRole", "ClusterRoleBinding"):
        yield "reaches beyond its namespace"
    for rule in node.get("rules") or ():
        if any("*" in rule.get(key, ()) for key in ("apiGroups", "resources", "verbs")):
            yield "grants everything by a *"
        if "secrets" in rule.get("resources", ()) and not rule.get("resourceNames"):
            yield "grants every secret"
    for subject in node.get("subjects") or ():
        if subject.get("namespace") != node["metadata"]["namespace"]:
            yield f"gives rights to the account {subject['name']} of another namespace"


def _doors(node: Object) -> Iterator[str]:
    if node["kind"] == "Service" and node["spec"].get("type") in OPEN_TYPES:
        yield "opens a port to the outside"
    if node["kind"] == "NetworkPolicy":
        for way, peers in (("ingress", "from"), ("egress", "to")):
            if any(not rule.get(peers) for rule in node["spec"].get(way) or ()):
                yield f"allows {way} to all"


def _missing(objects: list[Object]) -> Iterator[str]:
    """What a namespace must have."""
    kinds = {node["kind"] for node in objects}
    yield from (f"there is no {kind}" for kind in ("ResourceQuota", "LimitRange") if kind not in kinds)
    policies = [node["spec"] for node in objects if node["kind"] == "NetworkPolicy"]
    if {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} not in policies:
        yield "there is no NetworkPolicy that denies by default"
