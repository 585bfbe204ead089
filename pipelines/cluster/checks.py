"""Checks before a submit that what a deploy profile names is on the cluster: accounts, secrets, claims, queues.

It checks only what the Kubernetes API lets us see; what is hidden is assumed to be there.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from model.errors import ClusterError
from pipelines.cluster.argo_retries import ADVICE, policy
from pipelines.cluster.claims import unbound
from pipelines.cluster.kubernetes_view import Hidden, Object, View, view
from pipelines.cluster.profiles import DeployProfile, Step


def check_profile(profile: DeployProfile, pipelines: Iterable[str], namespace: str) -> list[str]:
    """What will fail later, one sentence each; raises at once for what is missing.

    Args:
        namespace: of the runs; "" takes that of the kubeconfig.

    Raises:
        ClusterError: something that the profile names is not there.
    """
    seen = view()
    if seen is None:
        return []
    for problem in missing(seen, profile, pipelines, namespace or seen.namespace):
        raise ClusterError(problem)
    with suppress(Hidden):
        if wrong := policy(seen).wrong:
            return [f"{wrong[0].upper()}{wrong[1:]}: {ADVICE}."]
    return []


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
    for queue in sorted({ray.queue for ray in rays if ray.queue}):
        yield from _queue(seen, namespace, queue)


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
            return
    yield (
        f"The namespace {namespace} has no LocalQueue {queue}, so a training would wait for ever; apply "
        "deploy/kustomize/queue, or take `queue` out of the profile where there is no Kueue."
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
