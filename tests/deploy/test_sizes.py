"""Do the sizes fit each other: quotas and what is asked of them, Redis and its limit, the lab and a small node."""

from collections import Counter

import pytest
from kubernetes.utils.quantity import parse_quantity
from manifest_policy import containers, pod_spec
from manifests import objects, the

from components.rayjob.manifest import manifest
from components.rayjob.training import _pods
from model.config import load
from pipelines.profiles import read_profile

FOLDERS = ["base", "overlays/dev", "overlays/lab", "overlays/prod"]
# What KubeRay gives the submitter beside the head, where nothing else is said.
SUBMITTER = {"cpu": "500m", "memory": "200Mi"}


def summed(amounts: list[dict[str, str]]) -> Counter:
    total: Counter = Counter()
    for one in amounts:
        total.update({name: parse_quantity(amount) for name, amount in one.items()})
    return total


def training(deploy_profile: str, model_profile: str) -> Counter:
    """Requests of all pods of one training's RayJob."""
    profile = read_profile(deploy_profile)
    ray = profile.step("training", "train").ray.model_copy(update={"image": profile.image})
    spec = manifest(ray, "name", ["it"], load(model_profile).train.workers, "2.60.0")["spec"]["rayClusterSpec"]
    (workers,) = spec["workerGroupSpecs"]
    (head,) = spec["headGroupSpec"]["template"]["spec"]["containers"]
    (worker,) = workers["template"]["spec"]["containers"]
    asked = [box["resources"]["requests"] for box in (head, *[worker] * workers["replicas"])]
    return summed([*asked, SUBMITTER])


def services(folder: str, part: str = "requests") -> Counter:
    """Requests or limits of everything that stands, each Deployment at its most."""
    amounts = []
    for node in objects(folder):
        if node["kind"] in ("Deployment", "StatefulSet"):
            scalers = [n["spec"]["maxReplicas"] for n in objects(folder) if n["kind"] == "HorizontalPodAutoscaler"]
            most = node["spec"].get("replicas") or (scalers or [1])[0]
            amounts += [box["resources"][part] for box in pod_spec(node)["containers"]] * most
    return summed(amounts)


@pytest.mark.parametrize(
    ("folder", "deploy_profile", "model_profile", "trainings"),
    [
        ("base", "cluster", "full", 1),
        ("overlays/prod", "cluster", "full", 1),
        ("overlays/dev", "cluster", "demo", 2),
        ("overlays/lab", "lab", "smoke", 1),
    ],
)
def test_the_quota_lets_the_training_run_beside_the_services(folder, deploy_profile, model_profile, trainings):
    hard = the(folder, "ResourceQuota", "pinclip")["spec"]["hard"]
    step = read_profile(deploy_profile).step("training", "train")
    steps = [{"cpu": step.requests.cpu, "memory": step.requests.memory}] * 2  # each follows its training
    asked = services(folder) + summed(steps)
    for _ in range(trainings):
        asked += training(deploy_profile, model_profile)
    for name in ("cpu", "memory", "nvidia.com/gpu"):
        assert asked[name] <= parse_quantity(hard[f"requests.{name}"]), name


@pytest.mark.parametrize("folder", FOLDERS)
def test_redis_has_room_for_a_log_written_anew(folder):
    """While it is, a fork holds what changes meanwhile: up to as much again."""
    (box,) = containers(pod_spec(the(folder, "StatefulSet", "redis")))
    most = box["args"][box["args"].index("--maxmemory") + 1]
    used = int(most.rstrip("gmb")) * (2**30 if most.endswith("gb") else 2**20)
    assert 2 * used <= parse_quantity(box["resources"]["limits"]["memory"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_rays_object_store_fits_the_encoders_shared_memory(folder):
    """Ray takes 30 % of the memory that it sees (ray_constants.py, DEFAULT_OBJECT_STORE_MEMORY_PROPORTION)."""
    pod = pod_spec(the(folder, "Deployment", "encoder"))
    (shm,) = (one["emptyDir"]["sizeLimit"] for one in pod["volumes"] if one["name"] == "shm")
    (box,) = containers(pod)
    assert parse_quantity(shm) >= parse_quantity("0.3") * parse_quantity(box["resources"]["limits"]["memory"])


def flavors() -> list[dict]:
    (queue,) = (node for node in objects("queue") if node["kind"] == "ClusterQueue")
    (group,) = queue["spec"]["resourceGroups"]
    return [
        {one["name"]: parse_quantity(str(one["nominalQuota"])) for one in flavor["resources"]}
        for flavor in group["flavors"]
    ]


def test_heads_are_admitted_to_nodes_without_gpus_and_workers_to_those_with():
    cpu, gpu = flavors()
    assert cpu["nvidia.com/gpu"] == 0 < gpu["nvidia.com/gpu"]
    ray = read_profile("cluster").step("training", "train").ray
    flavor = the("queue", "ResourceFlavor", "pinclip-gpu")["spec"]
    assert "tolerations" not in flavor  # it would be given to heads as well
    (taint,) = flavor["nodeTaints"]
    assert not ray.head.tolerations and [one.key for one in ray.workers.tolerations] == [taint["key"]]
    assert 2 * parse_quantity(ray.head.cpu) <= cpu["cpu"]
    assert "nodeLabels" not in the("queue", "ResourceFlavor", "pinclip-cpu")["spec"]


def test_the_labs_queue_admits_one_training_at_a_time():
    (queue,) = (node for node in objects("queue/lab") if node["kind"] == "ClusterQueue")
    ((flavor,),) = (group["flavors"] for group in queue["spec"]["resourceGroups"])
    quota = {one["name"]: parse_quantity(str(one["nominalQuota"])) for one in flavor["resources"]}
    asked = training("lab", "smoke")
    assert set(asked) <= set(quota) and all(asked[name] <= quota[name] for name in asked)
    assert any(2 * asked[name] > quota[name] for name in asked)


def test_the_lab_fits_a_node_of_four_cores_and_all_but_its_training_one_of_two():
    """Beside 1.5 CPUs, and 0.7 where the cluster itself asks for little (k3s), for Kubernetes and KFP."""
    profile = read_profile("lab")
    asked = services("overlays/lab") + summed([{"cpu": profile.defaults.requests.cpu}] * 4)
    assert asked["cpu"] <= 2 - parse_quantity("0.7")
    asked += training("lab", "smoke")
    assert asked["cpu"] <= 4 - parse_quantity("1.5") and asked["memory"] <= parse_quantity("8Gi")


def test_the_labs_workers_have_the_logical_cpus_that_a_training_needs():
    assert _pods(read_profile("lab").step("training", "train").ray, load("smoke")) == 1


def test_the_claims_name_a_class_that_many_nodes_may_write_and_the_labs_the_default_one():
    for folder in ("overlays/dev", "overlays/prod"):
        claim = the(folder, "PersistentVolumeClaim", "pinclip-data")["spec"]
        assert (claim["storageClassName"], claim["accessModes"]) == ("shared.example.com", ["ReadWriteMany"])
    claim = the("overlays/lab", "PersistentVolumeClaim", "pinclip-data")["spec"]
    assert "storageClassName" not in claim and claim["accessModes"] == ["ReadWriteOnce"]
