"""Checks before a submit that what a deploy profile names is on the cluster: accounts, secrets, claims, queues.

It checks only what the Kubernetes API lets us see; what is hidden is assumed to be there.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from model.errors import ClusterError
from pipelines.cluster.argo_retries import ADVICE, policy
from pipelines.cluster.kubernetes_view import Hidden, Object, View, view
from pipelines.cluster.profiles import DeployProfile, Step
from pipelines.cluster.versions import installed, too_old
from pipelines.cluster.volume_claims import unbound

LABELS = {  # of the namespace
    "app.kubernetes.io/part-of": "kubeflow-profile",  # KFP's object store lets these in (seaweedfs-networkpolicy.yaml)
    # KFP's profile controller makes the secret of that store (pipelines-profile-controller/decorator-controller.yaml)
    "pipelines.kubeflow.org/enabled": "true",
}


def check_profile(profile: DeployProfile, pipelines: Iterable[str], namespace: str, version: str) -> list[str]:
    """What will go wrong later, a sentence each; a thing that is missing ends it at once.

    Args:
        namespace: of the runs; "" takes that of the kubeconfig.
        version: of KFP, as its server says.

    Raises:
        ClusterError: something that the profile names is not there, or a server is too old.
    """
    if sentence := too_old("KFP", version):
        raise ClusterError(sentence)
    seen = view()
    if seen is None:
        return []
    place = namespace or seen.namespace
    for problem in missing(seen, profile, pipelines, place):
        raise ClusterError(problem)
    said = []
    with suppress(Hidden):
        if absent := absent_labels(seen.get(f"/api/v1/namespaces/{place}") or {}):
            said.append(f"The namespace {place} lacks labels that KFP goes by; `{labelling(place, absent)}`.")
    with suppress(Hidden):
        if wrong := policy(seen).wrong:
            said.append(f"{wrong[0].upper()}{wrong[1:]}: {ADVICE}.")
    return said


def absent_labels(namespace: Object) -> list[str]:
    """Of LABELS, as key=value."""
    labels = namespace.get("metadata", {}).get("labels") or {}
    return [f"{key}={value}" for key, value in LABELS.items() if labels.get(key) != value]


def labelling(namespace: str, labels: Iterable[str]) -> str:
    """The command that sets them."""
    return f"kubectl label namespace {namespace} --overwrite {' '.join(labels)}"


def missing(seen: View, profile: DeployProfile, pipelines: Iterable[str], namespace: str) -> Iterator[str]:
    """A sentence for everything of the profile that the namespace does not have."""
    steps = list(_steps(profile, pipelines))
    rays = [step.ray for step in steps if step.ray]
    core = f"/api/v1/namespaces/{namespace}"
    accounts = {profile.service_account, *(ray.service_account for ray in rays)} - {None}
    for account in sorted(map(str, accounts)):
        if _is_absent(seen, f"{core}/serviceaccounts/{account}"):
            yield f"The namespace {namespace} has no service account {account}; apply deploy/kustomize, or correct it."
    secrets = {secret.name for step in steps for secret in step.secrets}
    secrets |= {secret.name for ray in rays for secret in ray.secrets}
    for secret in sorted(secrets):
        if _is_absent(seen, f"{core}/secrets/{secret}"):
            yield f"The namespace {namespace} has no secret {secret}; create it (docs/operations.md, The secrets)."
    claims = {volume.claim for step in steps for volume in step.volumes if volume.claim} | {ray.claim for ray in rays}
    for claim in sorted(claims):
        yield from _claim(seen, namespace, claim)
    queues = sorted({ray.queue for ray in rays if ray.queue})
    for operator, used in (("KubeRay", rays), ("Kueue", queues)):
        if used:
            yield from _operator(seen, operator)
    for queue in queues:
        yield from _queue(seen, namespace, queue)


def _operator(seen: View, name: str) -> Iterator[str]:
    with suppress(Hidden):
        if sentence := too_old(name, installed(seen, name) or ""):
            yield sentence


def _claim(seen: View, namespace: str, claim: str) -> Iterator[str]:
    place = f"/api/v1/namespaces/{namespace}"
    with suppress(Hidden):
        found = seen.get(f"{place}/persistentvolumeclaims/{claim}")
        if found is None:
            advice = "apply deploy/kustomize, or correct the profile"
            yield f"The namespace {namespace} has no volume claim {claim}; {advice}."
            return
        if found.get("status", {}).get("phase") == "Bound":
            return
        events = seen.items(f"{place}/events", fieldSelector=f"involvedObject.name={claim}")
        if problem := unbound(found, seen.items("/apis/storage.k8s.io/v1/storageclasses"), events):
            yield problem


def _queue(seen: View, namespace: str, queue: str) -> Iterator[str]:
    """Kueue's LocalQueue; a RayJob without its queue stays suspended for ever and says nothing."""
    for version in ("v1beta2", "v1beta1"):
        try:
            found = seen.get(f"/apis/kueue.x-k8s.io/{version}/namespaces/{namespace}/localqueues/{queue}")
        except Hidden:
            return
        if found is not None:
            inactive = [
                one for one in _conditions(found) if one.get("type") == "Active" and one.get("status") == "False"
            ]
            for one in inactive:
                yield f"Kueue's queue {queue} is not active ({one.get('message') or one.get('reason')}); see to it."
            yield from _admission(seen, namespace, version, str(found.get("spec", {}).get("clusterQueue")))
            return
    yield (
        f"The namespace {namespace} has no LocalQueue {queue}, so a training would wait for ever; apply "
        "deploy/kustomize/queue, or take `queue` out of the profile where there is no Kueue."
    )


def _admission(seen: View, namespace: str, version: str, queue: str) -> Iterator[str]:
    """A ClusterQueue selects namespaces by labels; a Workload of another one waits, and its LocalQueue is active."""
    with suppress(Hidden):
        whole = seen.get(f"/apis/kueue.x-k8s.io/{version}/clusterqueues/{queue}") or {}
        wanted = (whole.get("spec", {}).get("namespaceSelector") or {}).get("matchLabels") or {}
        labels = (seen.get(f"/api/v1/namespaces/{namespace}") or {}).get("metadata", {}).get("labels") or {}
        absent = [f"{key}={value}" for key, value in wanted.items() if labels.get(key) != value]
        if absent:
            yield (
                f"Kueue's ClusterQueue {queue} takes nothing from the namespace {namespace}, so a training would wait "
                f"for ever; `{labelling(namespace, absent)}`."
            )


def _conditions(found: Object) -> list[Object]:
    return list(found.get("status", {}).get("conditions") or [])


def _is_absent(seen: View, path: str) -> bool:
    try:
        return seen.get(path) is None
    except Hidden:
        return False


def _steps(profile: DeployProfile, pipelines: Iterable[str]) -> Iterator[Step]:
    yield profile.defaults
    for pipeline in pipelines:
        for name in profile.pipelines.get(pipeline, {}):
            yield profile.step(pipeline, name)
