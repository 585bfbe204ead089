"""The overlay `lab`, applied with the image under test: its queue, its secrets, its objects, and what must come up."""

import os
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.on_cluster import failure_details, jobs, volumes
from tests.e2e.on_cluster.checks import may_account, need
from tests.e2e.on_cluster.cluster_clients import MINE, ROOT, Object, Site, kubectl, program
from tests.e2e.on_cluster.steps import Failed

OVERLAY, QUEUE = ROOT / "deploy/kustomize/overlays/lab", ROOT / "deploy/kustomize/queue/lab"
SECRETS = ROOT / "deploy/lab_secrets.sh"
STEPS, SCHEDULED, RAY = "pinclip-pipeline", "default-editor", "pinclip-ray"
FIRST = ("statefulset/redis", "deployment/mlflow")  # features and encoder wait for the first publication
LABELS = {
    "app.kubernetes.io/part-of": "kubeflow-profile",  # KFP's object store lets these namespaces in
    "pipelines.kubeflow.org/enabled": "true",  # KFP's profile controller gives these its secret
}
KFP_SECRET = "mlpipeline-minio-artifact"
# What a step does by its account: (verb, group, resource, name).
DONE_BY_STEPS = (
    ("create", "ray.io", "rayjobs", ""),
    ("delete", "ray.io", "rayjobs", ""),
    ("get", "", "pods/log", ""),
    ("create", "argoproj.io", "workflowtaskresults", ""),
    ("get", "", "configmaps", "kfp-launcher"),
    ("get", "", "secrets", KFP_SECRET),
)


def queue(site: Site) -> str:
    """Kueue's part is the whole cluster's, and so an administrator's."""
    need(site, "Kueue")
    said = kubectl("apply", "-k", str(QUEUE))
    return f"Applied: {', '.join(line.split()[0] for line in said.splitlines())}."


def apply(site: Site) -> str:
    """Makes namespace and secrets where they are missing, applies the overlay, waits for MLflow and Redis."""
    if site.ask(site.core.read_namespace, site.namespace, none_for={404}) is None:
        # With our mark from its first moment, so that --delete may take it away with all that is in it.
        site.ask(site.core.create_namespace, {"metadata": {"name": site.namespace, "annotations": {MINE: "made"}}})
    program((str(SECRETS), site.namespace))
    objects = without_absent(kubectl("kustomize", str(with_image(site))), site)
    if site.folders:
        objects = volumes.on_node(site, objects)
    once = [one["metadata"]["name"] for one in objects if one["kind"] == "Job"]
    for name in once:  # of an earlier call: a Job cannot be changed
        jobs.remove(site, name, site.namespace)
    said = kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects, sort_keys=False), seconds=180)
    site.clock.tell(f"{len(said.splitlines())} objects applied")
    for name in once:
        jobs.finished(site, name, 900, site.namespace)  # its pod may be the first that pulls the image, 3 GB
        site.clock.tell(f"job/{name} is done")
    for name in FIRST:
        ready(site, name, 600)
        site.clock.tell(f"{name} is ready")
    bound = [claim.metadata.name for claim in claims(site) if claim.status.phase == "Bound"]
    return f"{len(said.splitlines())} objects; MLflow and Redis are ready; bound: {', '.join(sorted(bound))}."


def with_image(site: Site) -> Path:
    """A kustomization of our own that puts the image under test into the overlay."""
    name, tag = split_image(site.image)
    folder = site.folder / "overlay"
    folder.mkdir(parents=True, exist_ok=True)
    image = {"name": "pinclip-python", "newName": name, **tag}
    whole = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(OVERLAY.resolve(), folder.resolve())],
        "images": [image],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(whole, sort_keys=False))
    return folder


def split_image(image: str) -> tuple[str, dict[str, str]]:
    """ "reg:5000/pinclip:1@sha256:…" as kustomize takes it: the name, and a tag or a digest."""
    name, _, digest = image.partition("@")
    folder, _, last = name.rpartition("/")
    base, _, tag = last.partition(":")
    name = f"{folder}/{base}" if folder else base
    return name, {"digest": digest} if digest else {"newTag": tag or "latest"}


def without_absent(built: str, site: Site) -> list[Object]:
    """The objects less those of a part that the cluster does not have: no LocalQueue without Kueue."""
    objects = [one for one in yaml.safe_load_all(built) if one]
    return [one for one in objects if "Kueue" in site.parts or not one["apiVersion"].startswith("kueue.x-k8s.io/")]


def ready(site: Site, name: str, seconds: float) -> None:
    """Waits for "deployment/mlflow" to have all its pods ready."""
    kind, _, short = name.partition("/")
    read = {"deployment": site.apps.read_namespaced_deployment, "statefulset": site.apps.read_namespaced_stateful_set}

    def there() -> bool:
        found: Any = site.ask(read[kind], short, site.namespace, none_for={404})
        if found is None or (found.status.observed_generation or 0) < (found.metadata.generation or 0):
            return False
        wanted = found.spec.replicas if found.spec.replicas is not None else 1
        return (found.status.ready_replicas or 0) >= wanted and (found.status.updated_replicas or 0) >= wanted

    selector = f"app.kubernetes.io/name={short}"
    site.clock.until(there, seconds, f"{name} did not become ready", lambda: failure_details.of_pods(site, selector))


def claims(site: Site) -> list[Any]:
    found: Any = site.ask(site.core.list_namespaced_persistent_volume_claim, site.namespace)
    return list(found.items)


def accounts(site: Site) -> str:
    """What a run will need in the namespace: labels, accounts and their rights, KFP's secret, a queue that admits."""
    wrong = [*_labels(site), *_accounts(site), *_rights(site), *_queue(site)]
    if wrong:
        raise Failed(f"{'; '.join(wrong)}.")

    def secret() -> Any:
        return site.ask(site.core.read_namespaced_secret, KFP_SECRET, site.namespace, none_for={404})

    site.clock.until(
        secret,
        240,
        f"KFP's profile controller did not make the secret {KFP_SECRET} in {site.namespace}",
        lambda: failure_details.of_pods(site, "app=kubeflow-pipelines-profile-controller", "kubeflow"),
    )
    return f"Labels, accounts and the rights of {STEPS} and {SCHEDULED} are as the steps need them."


def _labels(site: Site) -> list[str]:
    namespace: Any = site.ask(site.core.read_namespace, site.namespace)
    has = namespace.metadata.labels or {}
    return [
        f"The namespace {site.namespace} lacks the label {key}={value}"
        for key, value in LABELS.items()
        if has.get(key) != value
    ]


def _accounts(site: Site) -> list[str]:
    read = site.core.read_namespaced_service_account
    missing = [name for name in (STEPS, SCHEDULED, RAY) if site.ask(read, name, site.namespace, none_for={404}) is None]
    return [f"The account {name} does not exist in {site.namespace}" for name in missing]


def _rights(site: Site) -> list[str]:
    return [
        f"The account {account} may not {verb} {resource}{f' {name}' if name else ''}"
        for account in (STEPS, SCHEDULED)
        for verb, group, resource, name in DONE_BY_STEPS
        if not may_account(site, account, verb, group, resource, name)
    ]


def _queue(site: Site) -> list[str]:
    if "Kueue" not in site.parts:
        return []
    where = {"group": "kueue.x-k8s.io", "version": "v1beta2", "plural": "localqueues", "namespace": site.namespace}
    found: Any = site.ask(site.custom.list_namespaced_custom_object, **where)
    if not found["items"]:
        return [f"The namespace {site.namespace} has no LocalQueue"]

    def active() -> bool:
        now: Any = site.ask(site.custom.list_namespaced_custom_object, **where)
        return all(_is_active(one) for one in now["items"])

    names = ", ".join(one["metadata"]["name"] for one in found["items"])
    site.clock.until(active, 60, f"The LocalQueue {names} did not become active", lambda: [str(found["items"])[:500]])
    return []


def _is_active(queue: dict[str, Any]) -> bool:
    conditions = queue.get("status", {}).get("conditions", [])
    return any(one["type"] == "Active" and one["status"] == "True" for one in conditions)
