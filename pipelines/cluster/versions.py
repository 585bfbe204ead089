"""The oldest servers and operators that will do (docs/operations.md, Versions), and which ones a cluster has."""

import re

from pipelines.cluster.kubernetes_view import Object, View

FLOORS = {"Kubernetes": (1, 27), "KFP": (2, 16), "KubeRay": (1, 6), "Kueue": (0, 17, 7)}
# Labels of their Deployments. KubeRay's has another name by Helm than by kustomize (kuberay v1.6.2, helm-chart/
# kuberay-operator/templates/_helpers.tpl; ray-operator/config/manager/manager.yaml).
OPERATORS = {
    "KubeRay": "app.kubernetes.io/name in (kuberay-operator,kuberay)",
    "Kueue": "app.kubernetes.io/name=kueue",
}


def numbers(version: str) -> tuple[int, ...] | None:
    """ "v1.27.3+k3s1" -> (1, 27, 3); None of what does not say a version."""
    found = re.match(r"v?(\d+(?:\.\d+)+)", version)
    return tuple(map(int, found[1].split("."))) if found else None


def needed(name: str) -> str:
    return ".".join(map(str, FLOORS[name]))


def too_old(name: str, version: str) -> str:
    """A sentence of a version that is known to fail; "" of any other."""
    found = numbers(version)
    if found is None or found >= FLOORS[name]:
        return ""
    return f"{name} {version} is too old; {needed(name)} or newer is needed (docs/operations.md, Versions)."


def installed(seen: View, name: str) -> str | None:
    """The version of an operator, by its image's tag; None where there is none. Raises Hidden."""
    found = seen.items("/apis/apps/v1/deployments", labelSelector=OPERATORS[name])
    return _tag(found[0]) if found else None


def _tag(deployment: Object) -> str:
    """Of the operator's image, whatever else is in its pod."""
    images = [str(one["image"]) for one in deployment["spec"]["template"]["spec"]["containers"]]
    tags = [image.partition("@")[0].rpartition("/")[2].partition(":")[2] for image in images]
    return next((tag for tag in tags if tag), "an image without a tag")
