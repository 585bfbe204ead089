"""What must be true of the cluster before anything is made on it: versions, our own rights, a storage class."""

import re
from collections.abc import Iterable
from typing import Any

from pipelines.cluster.versions import needed
from tests.e2e.on_cluster.cluster_clients import ARGO, Site
from tests.e2e.on_cluster.steps import Failed, NotTried

# part -> (API group that it serves, names of its Deployment, oldest version that will do, whether nothing goes without)
PARTS: dict[str, tuple[str, tuple[str, ...], str, bool]] = {
    "KFP": ("kubeflow.org", ("ml-pipeline",), needed("KFP"), True),
    "Argo": ("argoproj.io", ("workflow-controller",), "3.5", True),
    "KubeRay": ("ray.io", ("kuberay-operator",), needed("KubeRay"), False),
    "Kueue": ("kueue.x-k8s.io", ("kueue-controller-manager",), needed("Kueue"), False),
}
KUBERNETES = needed("Kubernetes")
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
# What this command itself does: (verb, group, resource), in the namespace of the overlay.
OURS = (
    ("create", "batch", "jobs"),
    ("delete", "batch", "jobs"),
    ("get", "", "pods/log"),
    ("list", "", "pods"),
    ("delete", "", "pods"),
    ("list", "", "events"),
    ("get", "", "secrets"),
    ("create", "", "secrets"),
    ("delete", "", "secrets"),
    ("create", "", "serviceaccounts/token"),
    ("list", ARGO["group"], "workflows"),
    ("create", "rbac.authorization.k8s.io", "rolebindings"),
    ("create", "networking.k8s.io", "networkpolicies"),
)
OF_PARTS = {
    "KubeRay": (("list", "ray.io", "rayjobs"),),
    "Kueue": (("list", "kueue.x-k8s.io", "workloads"), ("patch", "kueue.x-k8s.io", "workloads")),
}
EVERYWHERE = (("create", "", "namespaces"), ("patch", "", "namespaces"), ("delete", "", "namespaces"))


def versions(site: Site) -> str:
    """Fills site.parts. A part that is not there is no failure unless nothing goes without it."""
    found = site.ask(site.version.get_code)
    server = str(getattr(found, "git_version", "unknown")).lstrip("v")
    groups = {group.name for group in getattr(site.ask(site.groups.get_api_versions), "groups", [])}
    images = _images(site)
    wrong = [] if at_least(server, KUBERNETES) else [f"Kubernetes {server} is older than {KUBERNETES}"]
    for part, (group, names, floor, must) in PARTS.items():
        if group not in groups:
            wrong += [f"{part} is not installed (no API group {group})"] if must else []
            continue
        site.parts[part] = version = next((tag(images[name]) for name in names if name in images), "unknown")
        if not at_least(version, floor):
            wrong.append(f"{part} {version} is older than {floor}")
    told = ", ".join(f"{part} {version}" for part, version in site.parts.items())
    absent = ", ".join(sorted(set(PARTS) - set(site.parts)))
    if wrong:
        raise Failed(f"{'; '.join(wrong)}. Found: Kubernetes {server}, {told or 'no part'}.")
    return f"Kubernetes {server}, {told}{f'; absent: {absent}' if absent else ''}."


def _images(site: Site) -> dict[str, str]:
    """Deployment -> image of its first container, of the whole cluster; empty where that may not be read."""
    try:
        listed: Any = site.ask(site.apps.list_deployment_for_all_namespaces)
    except Failed:
        return {}
    return {one.metadata.name: str(one.spec.template.spec.containers[0].image) for one in listed.items}


def tag(image: str) -> str:
    """The version in an image's name, without its digest: ghcr.io/kubeflow/kfp-api-server:2.16.1@sha256:… -> 2.16.1"""
    found = re.search(r":v?(\d+(\.\d+)+)", image.partition("@")[0])
    return found[1] if found else "unknown"


def at_least(version: str, floor: str) -> bool:
    """What does not say its version is taken."""
    numbers = re.match(r"\d+(\.\d+)*", version)
    return not numbers or _numbers(numbers[0]) >= _numbers(floor)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def rights(site: Site) -> str:
    """May whoever runs this do all that the steps do? Asked of the API, nothing is tried."""
    asked = [(*one, site.namespace) for one in (*OURS, *_of_parts(site))] + [(*one, "") for one in EVERYWHERE]
    missing = [_named(*one) for one in asked if not _may(site, *one)]
    if missing:
        raise Failed(
            f"Kubernetes does not let you {', '.join(missing)}; use the KUBECONFIG of somebody who administers "
            f"{site.namespace}."
        )
    return f"All {len(asked)} that the steps need."


def _of_parts(site: Site) -> Iterable[tuple[str, str, str]]:
    return (right for part, needed in OF_PARTS.items() if part in site.parts for right in needed)


def _may(site: Site, verb: str, group: str, resource: str, namespace: str) -> bool:
    from kubernetes import client

    name, _, sub = resource.partition("/")
    attributes = client.V1ResourceAttributes(
        verb=verb, group=group, resource=name, subresource=sub or None, namespace=namespace or None
    )
    review = client.V1SelfSubjectAccessReview(spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes))
    answer: Any = site.ask(site.rights.create_self_subject_access_review, review)
    return bool(answer.status.allowed)


def may_account(site: Site, account: str, verb: str, group: str, resource: str, name: str = "") -> bool:
    """Whether an account of the namespace may do it there."""
    from kubernetes import client

    kind, _, sub = resource.partition("/")
    attributes = client.V1ResourceAttributes(
        verb=verb,
        group=group,
        resource=kind,
        subresource=sub or None,
        name=name or None,
        namespace=site.namespace,
    )
    spec = client.V1SubjectAccessReviewSpec(
        user=f"system:serviceaccount:{site.namespace}:{account}",
        groups=["system:serviceaccounts", f"system:serviceaccounts:{site.namespace}", "system:authenticated"],
        resource_attributes=attributes,
    )
    answer: Any = site.ask(site.rights.create_subject_access_review, client.V1SubjectAccessReview(spec=spec))
    return bool(answer.status.allowed)


def _named(verb: str, group: str, resource: str, namespace: str) -> str:
    return f"{verb} {resource}{f'.{group}' if group else ''}{f' in {namespace}' if namespace else ''}"


def storage(site: Site) -> str:
    """The lab's claims name no class: one is the default, or the only node has room for folders."""
    classes: Any = site.ask(site.storage.list_storage_class)
    default = [one for one in classes.items if (one.metadata.annotations or {}).get(DEFAULT_CLASS) == "true"]
    if not default:
        there = ", ".join(one.metadata.name for one in classes.items) or "none"
        nodes: Any = site.ask(site.core.list_node)
        if len(nodes.items) != 1 or not _may(site, "create", "", "persistentvolumes", ""):
            raise Failed(
                f"No storage class is the default (there is: {there}); `kubectl annotate storageclass NAME "
                f"{DEFAULT_CLASS}=true` makes one."
            )
        site.folders = True
        return f"No class is the default (there is: {there}): the volumes will be folders of the only node."
    return f"The default class is {default[0].metadata.name} ({default[0].provisioner})."


def need(site: Site, part: str) -> None:
    """Raises NotTried where the cluster lacks the part."""
    if part not in site.parts:
        raise NotTried(f"This cluster has no {part}.")
