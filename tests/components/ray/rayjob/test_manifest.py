"""The RayJob that is made: valid by KubeRay's own schema, its pods by Kubernetes', held to the policy of deploy/."""

import json
import shlex

import jsonschema
import pytest
from kubernetes.utils.quantity import parse_quantity
from manifest_policy import violations
from manifests import crd_schema, objects, validate
from pydantic import ValidationError

from components.ray.rayjob.manifest import QUEUE, manifest
from components.ray.rayjob.settings import RayJob, quantity_value
from components.ray.rayjob.training import job_name, pod_count
from model.config import load
from model.config.overrides import override
from model.errors import TrainingError
from pipelines.cluster.profiles import read_profile

LEAST = {
    "image": "registry.example.com/pinclip-python:503e13463bca",
    "claim": "pinclip-data",
    "path": "/data",
    "head": {"cpu": 1, "memory": "4Gi"},
    "workers": {"cpu": 4, "memory": "8Gi"},
}
WORKFLOW = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "name": "w-1", "uid": "u-1"}
SECRETS = [{"name": "hub", "env": {"token": "HF_TOKEN"}}, {"name": "ca.crt", "path": "/etc/ca"}]
EIGHT = override(load("smoke"), {"train": {"workers": 8}})


def settings(**more: object) -> RayJob:
    return RayJob.model_validate(LEAST | more)


def cluster(name: str = "cluster") -> RayJob:
    """What a profile of deploy/profiles hands to the step, by way of the environment variable."""
    profile = read_profile(name)
    ray = profile.step("training", "train").ray.model_copy(update={"image": profile.image})
    return RayJob.model_validate_json(ray.model_dump_json(exclude_defaults=True))


def made(asked: RayJob, pods: int = 2) -> dict:
    return manifest(asked, "pinclip-train-0123456789ab", ["python", "-m", "it", "/data/a b"], pods, "2.60.0")


def pods_of(job: dict) -> list[dict]:
    spec = job["spec"]["rayClusterSpec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": g["template"]["spec"]} for g in groups
    ]


ASKED = {
    "least": settings(),
    "cluster": cluster(),
    "lab": cluster("lab"),
    "secrets": settings(service_account="pinclip-ray", env={"A": "b"}, secrets=SECRETS),
    "gpu": settings(workers=LEAST["workers"] | {"gpu": {"count": 2}}, queue="pinclip"),
}


@pytest.mark.parametrize("which", ASKED)
def test_it_is_valid(which):
    job = made(ASKED[which])
    validate(job)
    for pod in pods_of(job):
        validate(pod)


@pytest.mark.parametrize("breach", [("suspend", "yes"), ("entrypiont", "x"), ("backoffLimit", "1")])
def test_the_schema_refuses_what_is_wrong(breach):
    job = made(settings())
    job["spec"][breach[0]] = breach[1]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(crd_schema("ray.io", "v1", "RayJob")).validate(job)


def test_its_pods_are_held_to_the_policy():
    account = {"service_account": "pinclip-ray"}
    for asked in (cluster(), settings(secrets=SECRETS, **account), settings(**account)):
        found = [text for text in violations(pods_of(made(asked))) if text.startswith("Pod")]
        assert not found


def test_by_hand():
    """The RayJob of the shipped profile, key by key."""
    job = made(cluster(), pods=8)
    assert job["metadata"]["labels"][QUEUE] == "pinclip"
    spec = job["spec"]
    assert shlex.split(spec["entrypoint"]) == ["python", "-m", "it", "/data/a b"]
    told = {key: spec[key] for key in spec if key not in ("rayClusterSpec", "entrypoint")}
    assert told == {
        "submissionMode": "SidecarMode",
        "suspend": True,
        "shutdownAfterJobFinishes": True,
        "ttlSecondsAfterFinished": 600,
        "preRunningDeadlineSeconds": 1800,
        "activeDeadlineSeconds": 86400,
        "backoffLimit": 1,
    }
    (workers,) = spec["rayClusterSpec"]["workerGroupSpecs"]
    assert (workers["replicas"], workers["minReplicas"], workers["maxReplicas"]) == (8, 8, 8)
    pod = workers["template"]["spec"]
    assert pod["nodeSelector"] == {"pinclip.dev/pool": "gpu"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    amounts = {"cpu": "8", "memory": "48Gi", "ephemeral-storage": "50Gi", "nvidia.com/gpu": "1"}
    (box,) = pod["containers"]
    assert box["resources"] == {"requests": amounts, "limits": amounts}
    assert {mount["mountPath"] for mount in box["volumeMounts"]} == {"/data", "/tmp", "/dev/shm"}
    assert pod["volumes"][0] == {"name": "data", "persistentVolumeClaim": {"claimName": "pinclip-data"}}
    head = spec["rayClusterSpec"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert "nvidia.com/gpu" not in head["template"]["spec"]["containers"][0]["resources"]["limits"]


def test_a_head_is_kept_off_the_nodes_with_gpus():
    asked = settings(head=LEAST["head"] | {"node_selector": {"pool": "cpu"}, "tolerations": [{"key": "batch"}]})
    head, worker = pods_of(made(asked))
    assert head["spec"]["nodeSelector"] == {"pool": "cpu"}
    assert head["spec"]["tolerations"] == [{"key": "batch", "operator": "Equal"}]
    assert "nodeSelector" not in worker["spec"] and "tolerations" not in worker["spec"]


def test_without_a_queue_it_starts_at_once():
    job = made(settings())
    assert job["spec"]["suspend"] is False
    assert QUEUE not in job["metadata"]["labels"]


def templates(job: dict) -> list[dict]:
    spec = job["spec"]["rayClusterSpec"]
    return [group["template"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


def test_istio_is_kept_out_of_its_pods():
    for template in templates(made(settings())):
        for where in ("labels", "annotations"):
            assert template["metadata"][where] == {"sidecar.istio.io/inject": "false"}


def test_private_images_are_pulled_with_the_secrets_that_the_profile_names():
    for template in templates(made(settings(image_pull_secrets=["registry", "mirror"]))):
        assert template["spec"]["imagePullSecrets"] == [{"name": "registry"}, {"name": "mirror"}]
    assert all("imagePullSecrets" not in template["spec"] for template in templates(made(settings())))


@pytest.mark.parametrize(
    ("node", "shared", "store"),
    [
        ({"memory": "8Gi"}, 2 * 2**30, 1932735283),  # a quarter, and of that 90 %
        ({"memory": "8Gi", "shared_memory": "1Gi"}, 2**30, 966367641),
        ({"memory": "8G", "shared_memory": "500M"}, 500_000_000, 450_000_000),
    ],
)
def test_the_object_store_fits_into_shared_memory(node, shared, store):
    """Ray would take 30 % of the memory, and where /dev/shm is smaller, a file on the disk."""
    (group,) = made(settings(workers={"cpu": 4} | node))["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert group["rayStartParams"]["object-store-memory"] == str(store)
    (volume,) = (one for one in group["template"]["spec"]["volumes"] if one["name"] == "shared-memory")
    assert volume["emptyDir"]["sizeLimit"] == str(shared)


@pytest.mark.parametrize(
    ("node", "told"),
    [
        ({"head": {"cpu": "300m", "memory": "4Gi"}}, "cpu is 300m, and Ray does not start with less than 500m"),
        (
            {"head": {"cpu": 1, "memory": "900Mi"}},
            "head.memory is 900Mi, and Ray does not start with less than 1536Mi",
        ),
        ({"workers": {"cpu": ".4", "memory": "4Gi"}}, "cpu is .4, and Ray does not start with less than 500m"),
        ({"workers": {"cpu": 1, "memory": "512Mi"}}, "workers.memory is 512Mi, and Ray does not start with less than"),
        (
            {"workers": {"cpu": 1, "memory": "4Gi", "shared_memory": "64Mi"}},
            "shared_memory is 64Mi, and Ray does not start with less than 128Mi",
        ),
        (
            {"workers": {"cpu": 1, "memory": "4Gi", "shared_memory": "3Gi"}},
            "shared_memory 3Gi is more than half of memory 4Gi",
        ),
    ],
)
def test_sizes_that_ray_cannot_start_with_are_told(node, told):
    with pytest.raises(ValidationError, match=told):
        settings(**node)


def test_it_goes_with_its_run():
    """Deleted with the Workflow at the latest; it neither controls it nor holds up its deletion."""
    owner = WORKFLOW | {"controller": True, "blockOwnerDeletion": True}
    job = manifest(settings(), "pinclip-train-0123456789ab", ["python"], 1, "2.60.0", owner)
    assert job["metadata"]["ownerReferences"] == [WORKFLOW]
    assert "ownerReferences" not in made(settings())["metadata"]


def test_secrets_are_referred_to():
    pods = pods_of(made(settings(secrets=SECRETS, env={"A": "b"})))
    for pod in pods:
        (box,) = pod["spec"]["containers"]
        token = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}
        assert box["env"] == [{"name": "A", "value": "b"}, token]
        assert {"name": "secret-ca-crt", "secret": {"secretName": "ca.crt"}} in pod["spec"]["volumes"]


@pytest.mark.parametrize(
    ("node", "pods"),
    [
        ({"cpu": 4}, 8),
        ({"cpu": 4, "gpu": {"count": 1}}, 8),
        ({"cpu": 4, "gpu": {"count": 3}}, 3),
        ({"cpu": "1500m"}, 8),
    ],
)
def test_a_pod_for_every_worker_or_for_as_many_as_it_has_gpus(node, pods):
    assert pod_count(settings(workers={"memory": "8Gi"} | node), EIGHT) == pods


def test_pods_too_small_for_the_training_are_told():
    with pytest.raises(TrainingError, match="has 8 CPUs and the training needs 9"):
        pod_count(settings(workers={"cpu": 1, "memory": "8Gi"}), EIGHT)


def test_a_name_follows_from_all_that_is_told():
    places = ("/a", "/b", "/c")
    names = {
        job_name("train", settings(), EIGHT, places),
        job_name("train-baseline", settings(), EIGHT, places),
        job_name("train", settings(queue="pinclip"), EIGHT, places),
        job_name("train", settings(), load("smoke"), places),
        job_name("train", settings(), EIGHT, ("/a", "/b", "/d")),
        job_name("A step\nof a very long name, longer than KubeRay takes", settings(), EIGHT, places),
    }
    assert len(names) == 6
    assert all(len(name) <= 47 and name.replace("-", "").isalnum() and name.islower() for name in names)
    assert job_name("train", settings(), EIGHT, places) in names


def test_the_queue_covers_all_that_the_shipped_profile_asks_for():
    """Kueue admits nothing that asks for a resource its queue does not have, or for more than it has."""
    (queue,) = (node for node in objects("queue") if node["kind"] == "ClusterQueue")
    (group,) = queue["spec"]["resourceGroups"]
    quotas = [
        {one["name"]: quantity_value(str(one["nominalQuota"])) for one in flavor["resources"]}
        for flavor in group["flavors"]
    ]
    assert all(set(quota) == set(group["coveredResources"]) for quota in quotas)
    head, worker = (pod["spec"]["containers"][0]["resources"]["requests"] for pod in pods_of(made(cluster())))
    workers = load("full").train.workers
    assert all(quantity_value(head[name]) <= quotas[0][name] for name in head)
    asked, quota = (
        {name: quantity_value(worker[name]) * workers for name in worker},
        quotas[-1],
    )  # the last flavor has GPUs
    assert all(asked[name] <= quota[name] for name in asked), asked


@pytest.mark.parametrize(("text", "value"), [("500m", 0.5), (".5", 0.5), ("2", 2), ("2Gi", 2**31), ("100M", 10**8)])
def test_an_amount_is_read_as_kubernetes_reads_it(text, value):
    assert quantity_value(text) == value == float(parse_quantity(text))


def test_what_the_step_is_handed_is_short_and_names_no_secret_value():
    ray = read_profile("cluster").step("training", "train").ray
    told = json.loads(ray.model_dump_json(exclude_defaults=True))
    assert "secrets" not in told and set(told["env"]) == {"HF_HUB_OFFLINE"}
    assert set(told["workers"]) == {
        *("cpu", "memory", "storage", "shared_memory"),
        *("gpu", "node_selector", "tolerations"),
    }
