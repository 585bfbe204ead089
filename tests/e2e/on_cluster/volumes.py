"""Volumes for a cluster of one node without a default storage class: folders of that node, as PersistentVolumes.

Kubernetes makes such a folder as root's and changes no owner of a hostPath. So a Job of the image, as root, in a
namespace of its own, gives each folder to the user of its pods. `--delete` takes volumes and folders away.
"""

from dataclasses import dataclass
from typing import Any

import yaml

from tests.e2e.on_cluster import jobs
from tests.e2e.on_cluster.cluster_clients import MINE, Object, Site, kubectl

CLASS = "pinclip-e2e"  # the name alone binds claim and volume; no StorageClass of it exists
FOLDER = "/var/lib/pinclip-e2e"  # on the node
ROOM = "pinclip-e2e-volumes"  # the namespace of the Jobs, which baseline pods may not do
GIVE = (
    "import os, sys\nfor one in sys.argv[1:]:\n    path, user = one.split(':')\n    os.makedirs(path, exist_ok=True)\n"
)
GIVE += "    os.chmod(path, 0o770)\n    os.chown(path, int(user), int(user))\nprint('given')\n"
CLEAR = "import os, shutil\nfor one in os.scandir('/volumes'):\n    shutil.rmtree(one.path)\nprint('cleared')\n"


@dataclass(frozen=True)
class Wanted:
    """A claim of the overlay, by its name in the cluster, and the user of the pods that write there."""

    claim: str
    size: str
    user: int


def on_node(site: Site, objects: list[Object]) -> list[Object]:
    """The objects with their claims bound to folders of the node, which are made here."""
    wanted = [one for whole in objects for one in _claims(whole)]
    made = [host_volume(site, one) for one in wanted]
    _run(site, "e2e-folders", ["python", "-c", GIVE, *(f"/volumes/{one.claim}:{one.user}" for one in wanted)])
    for one in made:
        clear_away(site, one["metadata"]["name"])
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(made))
    return objects


def clear_away(site: Site, name: str) -> None:
    """A volume of an earlier call whose claim is gone, to its end: what is applied before that goes with it."""

    def now() -> Any:
        return site.ask(site.core.read_persistent_volume, name, none_for={404})

    found = now()
    if found is not None and (found.status.phase in ("Released", "Failed") or found.metadata.deletion_timestamp):
        site.ask(site.core.delete_persistent_volume, name, none_for={404})
        site.clock.until(lambda: now() is None, 60, f"The volume {name} of an earlier call did not go")


def delete(site: Site) -> None:
    """The folders, the volumes and the Jobs' namespace; nothing where none was made."""
    if site.ask(site.core.read_namespace, ROOM, none_for={404}) is None:
        return
    _run(site, "e2e-clear", ["python", "-c", CLEAR])
    ours = f"{MINE}=true"
    kubectl("delete", "persistentvolumes", "-l", ours, "--ignore-not-found", "--wait=false")
    site.ask(site.core.delete_namespace, ROOM, none_for={404})
    left = lambda: site.ask(site.core.list_persistent_volume, label_selector=ours).items  # noqa: E731
    site.clock.until(lambda: not left(), 60, "The volumes of the node's folders did not go")


def _claims(whole: Object) -> list[Wanted]:
    """Those that the object is or makes, each now of our class."""
    if whole["kind"] == "PersistentVolumeClaim":
        return [_of(whole["spec"], whole["metadata"]["name"], jobs.USER)]
    if whole["kind"] != "StatefulSet":
        return []
    name, user = whole["metadata"]["name"], whole["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    templates = whole["spec"].get("volumeClaimTemplates", [])
    return [_of(one["spec"], f"{one['metadata']['name']}-{name}-0", user) for one in templates]


def _of(spec: Object, claim: str, user: int) -> Wanted:
    spec["storageClassName"] = CLASS
    return Wanted(claim, spec["resources"]["requests"]["storage"], user)


def host_volume(site: Site, wanted: Wanted) -> Object:
    """A volume for the claim, on the disk of a lab's one node."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"pinclip-e2e-{wanted.claim}", "labels": {MINE: "true"}},
        "spec": {
            "storageClassName": CLASS,
            "capacity": {"storage": wanted.size},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": site.namespace, "name": wanted.claim},
            "hostPath": {"path": f"{FOLDER}/{wanted.claim}", "type": "DirectoryOrCreate"},
        },
    }


def _run(site: Site, name: str, command: list[str]) -> None:
    """As root, with the folder of the node at /volumes."""
    labels = {MINE: "true", "pod-security.kubernetes.io/enforce": "privileged"}
    if site.ask(site.core.read_namespace, ROOM, none_for={404}) is None:
        body = {"metadata": {"name": ROOM, "labels": labels, "annotations": {MINE: "made"}}}
        site.ask(site.core.create_namespace, body)
    folder = {"name": "volumes", "hostPath": {"path": FOLDER, "type": "DirectoryOrCreate"}}
    pod = {"labels": {}, "env": [], "mounts": [{"name": "volumes", "mountPath": "/volumes"}], "volumes": [folder]}
    jobs.run(site, name, command, 900, pod | {"root": True}, ROOM)  # the first that pulls the image, 3 GB
