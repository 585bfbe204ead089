"""The kinds that the API server of the tests knows (tests/api_server.py), and what it says of them to a client that
asks: kubectl and the Python client learn from it which kinds there are and who checks their fields.
"""

Object = dict
VERSION = "v1.34.4"
Kinds = dict[tuple[str, str], dict[str, tuple[str, bool]]]
# (group, version) -> plural -> (kind, namespaced)
KINDS: Kinds = {
    ("", "v1"): {
        "namespaces": ("Namespace", False),
        "nodes": ("Node", False),
        "persistentvolumes": ("PersistentVolume", False),
        "pods": ("Pod", True),
        "secrets": ("Secret", True),
        "configmaps": ("ConfigMap", True),
        "services": ("Service", True),
        "serviceaccounts": ("ServiceAccount", True),
        "persistentvolumeclaims": ("PersistentVolumeClaim", True),
        "resourcequotas": ("ResourceQuota", True),
        "limitranges": ("LimitRange", True),
        "events": ("Event", True),
    },
    ("apps", "v1"): {"deployments": ("Deployment", True), "statefulsets": ("StatefulSet", True)},
    ("batch", "v1"): {"jobs": ("Job", True), "cronjobs": ("CronJob", True)},
    ("autoscaling", "v2"): {"horizontalpodautoscalers": ("HorizontalPodAutoscaler", True)},
    ("policy", "v1"): {"poddisruptionbudgets": ("PodDisruptionBudget", True)},
    ("networking.k8s.io", "v1"): {"networkpolicies": ("NetworkPolicy", True), "ingresses": ("Ingress", True)},
    ("rbac.authorization.k8s.io", "v1"): {"roles": ("Role", True), "rolebindings": ("RoleBinding", True)},
    ("storage.k8s.io", "v1"): {"storageclasses": ("StorageClass", False)},
    ("authorization.k8s.io", "v1"): {
        "selfsubjectaccessreviews": ("SelfSubjectAccessReview", False),
        "subjectaccessreviews": ("SubjectAccessReview", False),
    },
    ("kubeflow.org", "v1"): {"profiles": ("Profile", False)},
    ("argoproj.io", "v1alpha1"): {"workflows": ("Workflow", True)},
    ("ray.io", "v1"): {"rayjobs": ("RayJob", True), "rayclusters": ("RayCluster", True)},
    ("kueue.x-k8s.io", "v1beta2"): {
        "localqueues": ("LocalQueue", True),
        "workloads": ("Workload", True),
        "clusterqueues": ("ClusterQueue", False),
        "resourceflavors": ("ResourceFlavor", False),
    },
}
CUSTOM = {"kubeflow.org", "argoproj.io", "ray.io", "kueue.x-k8s.io"}  # groups of CRDs


def discovered(kinds: Kinds, path: str) -> Object | None:
    """What a client asks to learn which kinds there are."""
    groups: dict[str, list[str]] = {}
    for group, version in kinds:
        groups.setdefault(group, []).append(version)
    if path == "/version":
        return {"major": "1", "minor": "34", "gitVersion": VERSION} | dict.fromkeys(
            ("gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"), "x"
        )
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        listed = [
            {
                "name": group,
                "versions": [{"groupVersion": f"{group}/{v}", "version": v} for v in versions],
                "preferredVersion": {"groupVersion": f"{group}/{versions[0]}", "version": versions[0]},
            }
            for group, versions in groups.items()
            if group
        ]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    if path.startswith("/openapi"):
        return described(kinds, path)
    group, version = ("", path[5:]) if path.startswith("/api/") else tuple(path[6:].split("/", 1))
    if (group, version) not in kinds:
        return None
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    resources = [
        {"name": plural, "singularName": kind.lower(), "namespaced": spaced, "kind": kind, "verbs": verbs}
        for plural, (kind, spaced) in kinds[group, version].items()
    ]
    named = f"{group}/{version}".lstrip("/")
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": named, "resources": resources}


def described(kinds: Kinds, path: str) -> Object | None:
    """As much of OpenAPI as kubectl reads to leave the checking of fields to the server."""
    places = {(f"apis/{group}/{version}" if group else f"api/{version}"): (group, version) for group, version in kinds}
    if path == "/openapi/v3":
        return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}?hash=1"} for place in places}}
    place = path.removeprefix("/openapi/v3/")
    if place not in places:
        return None
    group, version = places[place]
    checked = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    paths = {
        f"/{place}/{plural}/{{name}}": {
            "patch": {
                "parameters": checked,
                "responses": {},
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
            }
        }
        for plural, (kind, _) in kinds[group, version].items()
    }
    return {"openapi": "3.0.0", "info": {"title": "a stand-in", "version": VERSION}, "paths": paths}
