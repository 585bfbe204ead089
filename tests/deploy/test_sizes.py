"""Do the sizes fit each other: quotas and what is asked of them, Redis and its limit, the lab and a small node."""

from collections import Counter

import pytest
from kubernetes.utils.quantity import parse_quantity
from manifest_policy import containers, pod_spec
from manifests import objects, the

from components.ray.rayjob.manifest import manifest
from components.ray.rayjob.training import pod_count
from model.config import load
from pipelines.cluster.profiles import read_profile

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
def test_a_pods_folders_fit_what_its_containers_may_store(folder):
    """Else it is evicted before one of them is full."""
    for node in objects(folder):
        if (spec := pod_spec(node)) is None:
            continue
        scratch = [one["emptyDir"] for one in spec["volumes"] if "emptyDir" in one]
        assert all("sizeLimit" in one for one in scratch), node["metadata"]["name"]
        asked = sum(parse_quantity(one["sizeLimit"]) for one in scratch if one.get("medium") != "Memory")
        allowed = sum(parse_quantity(one["resources"]["limits"]["ephemeral-storage"]) for one in spec["containers"])
        assert asked <= allowed, node["metadata"]["name"]


@pytest.mark.parametrize("name", ["cluster", "lab"])
def test_decoded_images_stay_on_the_volume(name):
    """So that the scratch of a step need not hold them: no step of any pipeline that reads the catalogue does."""
    profile = read_profile(name)
    for step in (
        "prepare",
        "validate",
        "neighbours",
        "train",
        "train-baseline",
        "embed",
        "evaluate",
        "compare",
        "register",
    ):
        env = profile.step("training", step).env
        (claim,) = (one.path for one in profile.step("training", step).volumes if one.claim)
        assert env["PINCLIP_PREPARED"].startswith(f"{claim}/"), step


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


# What others set aside beside our own containers: the init containers of KFP's launcher, and its driver, at 2.16.1
# (backend/src/v2/compiler/argocompiler/argo.go, launcherResources and driverResources); KubeRay's at 1.6.2, which waits
# for the head (ray-operator/controllers/ray/common/pod.go, wait-gcs-ready).
LAUNCHER = {"cpu": "100m"}
DRIVER = {"cpu": "100m", "memory": "64Mi"}
WAITING = {"cpu": "200m", "memory": "256Mi"}
TWO_CORES = {"cpu": "1.6", "memory": "6.5Gi"}  # of 2 and 8, less what Kubernetes, KFP, Kueue and KubeRay set aside


def pod(container: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    """What a pod sets aside: the larger of its container and of the one that runs before it (Kubernetes' rule)."""
    return {name: max(container[name], before.get(name, "0"), key=parse_quantity) for name in container}


def test_the_lab_trains_on_a_node_of_two_cores():
    """Both trainings are followed, one has its pods, KFP drives another step: all of it is there at once."""
    profile = read_profile("lab")
    step = profile.step("training", "train")
    follower = pod({"cpu": step.requests.cpu, "memory": step.requests.memory}, LAUNCHER)
    asked = services("overlays/lab") + training("lab", "smoke") + summed([follower, follower, DRIVER])
    for name, free in TWO_CORES.items():
        assert asked[name] <= parse_quantity(free), name
    worker = step.ray.workers
    assert parse_quantity(worker.cpu_request) >= parse_quantity(WAITING["cpu"])
    assert parse_quantity(worker.memory) >= parse_quantity(WAITING["memory"])


def test_the_labs_workers_have_the_logical_cpus_that_a_training_needs():
    assert pod_count(read_profile("lab").step("training", "train").ray, load("smoke")) == 1


def test_the_claims_name_a_class_that_many_nodes_may_write_and_the_labs_the_default_one():
    for folder in ("overlays/dev", "overlays/prod"):
        claim = the(folder, "PersistentVolumeClaim", "pinclip-data")["spec"]
        assert (claim["storageClassName"], claim["accessModes"]) == ("shared.example.com", ["ReadWriteMany"])
    claim = the("overlays/lab", "PersistentVolumeClaim", "pinclip-data")["spec"]
    assert "storageClassName" not in claim and claim["accessModes"] == ["ReadWriteOnce"]
