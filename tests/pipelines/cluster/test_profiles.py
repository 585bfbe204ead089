"""Deploy profiles: what each step asks of Kubernetes, read back from the compiled DAG."""

import copy

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.configuration import load
from components.kubernetes_types import duration_seconds
from components.ray.rayjob.settings import VARIABLE, RayJob
from model.errors import ConfigError
from pipelines.cluster.compilation import package
from pipelines.cluster.profiles import PROFILES, UNBOUNDED, DeployProfile, Retries, Step, read_profile

RAY = "{claim: c, path: /d, head: {cpu: 1, memory: 2Gi}, workers: {cpu: 1, memory: 1Gi}"  # not closed yet
SEEN = "defaults: {volumes: [{claim: c, path: /d}]}\n"


def ray(more: str = "", step: str = "") -> str:
    return f"pipelines: {{training: {{train: {{{step}ray: {RAY}{more}}}}}}}}}"


def compiled(profile: DeployProfile) -> list[dict]:
    return list(yaml.safe_load_all(package("training", load("smoke"), profile).text))


def by_step(pipeline: dict) -> dict[str, tuple[str, dict]]:
    """Step -> the label of its executor and its container."""
    executors, components = pipeline["deploymentSpec"]["executors"], pipeline["components"]
    tasks = pipeline["root"]["dag"]["tasks"].values()
    labels = {task["taskInfo"]["name"]: components[task["componentRef"]["name"]]["executorLabel"] for task in tasks}
    return {step: (label, executors[label]["container"]) for step, label in labels.items()}


@pytest.fixture(scope="module")
def cluster() -> list[dict]:
    return compiled(read_profile("cluster"))


def test_a_profile_sets_nothing_else(cluster):
    """Less images, resources, variables and retries, the pipeline is the one for one machine."""

    def bare(pipeline: dict) -> dict:
        for task in pipeline["root"]["dag"]["tasks"].values():
            task.pop("retryPolicy", None)
        for executor in pipeline["deploymentSpec"]["executors"].values():
            executor["container"] = {key: executor["container"][key] for key in ("command", "args")}
        return pipeline

    (local,) = compiled(read_profile("local"))
    assert bare(copy.deepcopy(cluster[0])) == bare(local)


def test_the_local_profile_changes_nothing_and_compiling_for_a_cluster_leaves_no_trace(tmp_path):
    from kfp import compiler

    from pipelines.training import training

    compiled(read_profile("cluster"))
    compiler.Compiler().compile(training, str(tmp_path / "plain.yaml"))
    (local,) = compiled(read_profile("local"))
    for one in local["root"]["inputDefinitions"]["parameters"].values():
        one.pop("defaultValue", None)  # the settings
    assert local == yaml.safe_load((tmp_path / "plain.yaml").read_text())


def test_every_step_asks_for_what_the_profile_says(cluster):
    profile, (pipeline, platform) = read_profile("cluster"), cluster
    asked = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    retries = {task["taskInfo"]["name"]: task["retryPolicy"] for task in pipeline["root"]["dag"]["tasks"].values()}
    steps = by_step(pipeline)
    assert len(steps) == 14
    for name, (label, container) in steps.items():
        step = profile.step("training", name)
        assert container["image"] == profile.image
        resources = container["resources"]
        assert resources["resourceCpuRequest"] == step.requests.cpu
        assert resources["resourceMemoryRequest"] == step.requests.memory
        assert resources["resourceCpuLimit"] == step.limits.cpu
        assert resources["resourceMemoryLimit"] == step.limits.memory
        assert asked[label]["activeDeadlineSeconds"] == str(duration_seconds(step.timeout))
        assert retries[name]["maxRetryCount"] == step.retries.count
        assert {one["secretName"] for one in asked[label]["secretAsEnv"]} == {one.name for one in step.secrets}
        mounts = [*asked[label]["pvcMount"], *asked[label]["emptyDirMounts"]]
        assert {one["mountPath"] for one in mounts} == {one.path for one in step.volumes}


def test_the_steps_that_embed_get_a_gpu_and_the_pods_of_a_rayjob_theirs(cluster):
    pipeline, platform = cluster
    asked = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    steps, profile = by_step(pipeline), read_profile("cluster")
    with_gpu = {name for name, (_, container) in steps.items() if "accelerator" in container["resources"]}
    assert with_gpu == {name for name in steps if profile.step("training", name).gpu} >= {"embed", "embed-baseline"}
    for name in with_gpu:
        label, container = steps[name]
        accelerator = container["resources"]["accelerator"]
        assert (accelerator["resourceType"], accelerator["resourceCount"]) == ("nvidia.com/gpu", "1")
        assert asked[label]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        assert asked[label]["nodeSelector"] == {"labels": {"pinclip.dev/pool": "gpu"}}
    with_rayjob = {name for name, (_, container) in steps.items() if VARIABLE in str(container["env"])}
    assert with_rayjob == {"train", "train-baseline"}
    assert not with_rayjob & with_gpu
    assert all(profile.step("training", name).ray.workers.gpu for name in with_rayjob)


def test_no_step_asks_the_internet_for_weights(cluster):
    """Nor does a Ray pod, which is handed nothing of the step's variables."""
    pipeline, _ = cluster
    for name, (_, container) in by_step(pipeline).items():
        env = {one["name"]: one["value"] for one in container["env"]}
        assert env["HF_HUB_OFFLINE"] == "1", name
        if VARIABLE in env:
            assert RayJob.model_validate_json(env[VARIABLE]).env["HF_HUB_OFFLINE"] == "1", name


def test_training_by_hand(cluster):
    """One step worked out by hand from deploy/profiles/cluster.yaml."""
    pipeline, platform = cluster
    label, container = by_step(pipeline)["train"]
    assert container["resources"]["resourceMemoryLimit"] == "8Gi"
    env = {one["name"]: one["value"] for one in container["env"]}
    assert env["PINCLIP_HOME"] == "/data/home"
    assert env["OMP_NUM_THREADS"] == "2"  # its limit of CPUs; the node has more
    ray = RayJob.model_validate_json(env[VARIABLE])
    assert ray.image == "registry.example.com/pinclip-python:503e13463bca"
    assert (ray.queue, ray.timeout, ray.retries) == ("pinclip", "24h", 1)
    assert (ray.workers.cpu, ray.workers.memory, ray.workers.gpu.count) == ("8", "48Gi", 1)
    asked = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][label]
    assert asked["activeDeadlineSeconds"] == "259200"
    assert [(one["constant"], one["mountPath"]) for one in asked["pvcMount"]] == [("pinclip-data", "/data")]
    assert [(one["mountPath"], one["sizeLimit"]) for one in asked["emptyDirMounts"]] == [("/tmp", "6Gi")]
    (secret,) = asked["secretAsEnv"]
    assert secret["secretName"] == "pinclip-mlflow"
    assert {"secretKey": "password", "envVar": "MLFLOW_TRACKING_PASSWORD"} in secret["keyToEnv"]
    (task,) = [one for one in pipeline["root"]["dag"]["tasks"].values() if one["taskInfo"]["name"] == "train"]
    assert task["retryPolicy"] == {
        "maxRetryCount": 3,
        "backoffDuration": "300s",
        "backoffFactor": 2.0,
        # Four tries of 72 h, and 5, 10 and 20 minutes between them.
        "backoffMaxDuration": f"{4 * 72 * 3600 + (5 + 10 + 20) * 60}s",
    }


@pytest.mark.parametrize(
    ("step", "total"),
    [
        ("retries: {count: 2, wait: 20s}, timeout: 90s", 3 * 90 + 20 + 40),
        ("retries: {count: 3, wait: 1m, factor: 1}, timeout: 2h", 4 * 7200 + 3 * 60),
        ("retries: {count: 0}, timeout: 2h", 7200),
        ("retries: {count: 2}, timeout: 2h", 3 * 7200),
        ("retries: {count: 2, wait: 20s}", UNBOUNDED),  # each try may take as long as it likes
        ("retries: {count: 200, wait: 1h}, timeout: 1h", UNBOUNDED),  # more than Go can count
        ("retries: {count: 2, wait: 20s, total: 5m}, timeout: 90s", 300),
    ],
)
def test_retries_have_time_for_every_try_and_wait(tmp_path, step, total):
    """Argo counts from the first try's start: with 30 s, a step that failed after 6 s was not tried again."""
    path = tmp_path / "p.yaml"
    path.write_text(f"defaults: {{{step}}}")
    pipeline, *_ = yaml.safe_load_all(package("sync", load("smoke"), read_profile(str(path))).text)
    (task,) = pipeline["root"]["dag"]["tasks"].values()
    assert task["retryPolicy"]["backoffMaxDuration"] == f"{total}s"
    assert task["retryPolicy"]["backoffFactor"].is_integer()  # Argo takes no other


@given(
    st.integers(0, 5),
    st.integers(0, 900),
    st.integers(1, 4),
    st.integers(1, 9000),
    st.lists(st.floats(0, 1), min_size=6),
)
def test_argo_starts_every_try_and_cuts_none(count, wait, factor, timeout, shares):
    """As Argo does it (v3.7.8, workflow/controller/operator.go:1003 to 1060), each try failing within its timeout."""
    retries = Retries(count=count, wait=f"{wait}s", factor=factor)
    deadline, now = retries.longest(f"{timeout}s"), 0.0
    for tried in range(count + 1):
        now += shares[tried] * timeout
        assert now <= deadline  # "Max duration limit exceeded", or the pod's own executionDeadline
        if tried < count:
            now += wait * factor**tried
            assert now <= deadline  # "Backoff would exceed max duration limit"


def test_scratch_space_may_be_in_memory(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("defaults: {volumes: [{scratch: 16Gi, path: /dev/shm, memory: true}]}")
    _, platform = compiled(read_profile(str(path)))
    shared = {"volumeName": "dev-shm", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "16Gi"}
    for executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        assert executor["emptyDirMounts"] == [shared]


def test_a_steps_key_takes_the_place_of_the_defaults_whole():
    profile = DeployProfile.model_validate(
        {
            "defaults": {"requests": {"cpu": 1, "memory": "1Gi"}, "timeout": "1h"},
            "pipelines": {"training": {"train": {"requests": {"cpu": 8}}}},
        }
    )
    assert profile.step("training", "prepare") == profile.defaults
    train = profile.step("training", "train")
    assert (train.requests.cpu, train.requests.memory, train.timeout) == ("8", None, "1h")


def test_a_secret_may_be_files(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("defaults: {secrets: [{name: ca, path: /etc/ca}]}")
    _, platform = compiled(read_profile(str(path)))
    for executor in platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        (mount,) = executor["secretAsVolume"]
        assert (mount["secretName"], mount["mountPath"]) == ("ca", "/etc/ca")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("defaults: {reqests: {cpu: 1}}", "p.yaml has the unknown key defaults.reqests; did you mean requests?"),
        ("gpus: 1", "has the unknown key gpus; choose from image, service_account, defaults, pipelines."),
        ("defaults: {gpu: {count: 1, kind: x}}", "unknown key defaults.gpu.kind; choose from count, type."),
        (
            "pipelines: {training: {train: {volumes: [{path: /a, clain: x}]}}}",
            "unknown key pipelines.training.train.volumes.0.clain; did you mean claim?",
        ),
        ("defaults: {secrets: [{env: {a: A}}]}", "lacks defaults.secrets.0.name; write it down."),
        ("defaults: {secrets: [{name: '', env: {a: A}}]}", "does not fit at defaults.secrets.0.name ('')"),
        ("defaults: {secrets: [{name: s}]}", "a secret needs either env or path"),
        ("defaults: {volumes: [{path: /a}]}", "a volume needs either claim or scratch"),
        ("defaults: {requests: {memory: lots}}", "does not fit at defaults.requests.memory ('lots')"),
        ("defaults: {timeout: 90}", "does not fit at defaults.timeout (90)"),
        ("defaults: {retries: {count: -1}}", "does not fit at defaults.retries.count (-1)"),
        ("defaults: {retries: {count: 1, factor: 1.5}}", "does not fit at defaults.retries.factor (1.5)"),
        ("defaults: {retries: {count: 1, longest: 30s}}", "unknown key defaults.retries.longest; choose from count"),
        ("defaults: {retries: {count: 2, wait: 20s, total: 30s}, timeout: 2h}", "defaults would never be tried again"),
        (ray(", que: x"), "unknown key pipelines.training.train.ray.que; did you mean queue?"),
        (ray(", secrets: [{name: s}]"), "fit at pipelines.training.train.ray.secrets.0: a secret needs either env"),
        (ray().replace("path: /d, ", ""), "lacks pipelines.training.train.ray.path; write it down."),
        ("image: i:1\n" + ray(), "training.train needs the claim c at /d too, as its ray does"),
        (SEEN + ray(), "training.train.ray has no image; name one there or for the whole profile"),
        ("image: i:1\n" + SEEN + ray(step="gpu: {count: 1}, "), "follows its RayJob; move its gpu to ray.workers"),
        (ray().replace("head: {", "head: {gpu: {count: 1}, "), "no training runs on the head; give the gpu to workers"),
        (f"defaults: {{ray: {RAY}}}}}", "ray belongs to the steps that train, not to the defaults"),
        ("[1, 2]", "does not fit at its top"),
        ("a: [", "is no YAML at line 1"),
    ],
)
def test_a_profile_that_does_not_fit_is_one_sentence(tmp_path, text, says):
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as said:
        read_profile(str(path))
    assert says in str(said.value)
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("pipelines", "says"),
    [
        ({"training": {"trian": Step()}}, r"has training\.trian, but the steps are prepare, validate"),
        ({"trainning": {}}, "There is no pipeline trainning; choose one of training"),
    ],
)
def test_a_step_or_a_pipeline_that_is_not_there_is_told(pipelines, says):
    with pytest.raises(ConfigError, match=says):
        package("training", load("smoke"), DeployProfile(pipelines=pipelines))


def test_an_unknown_profile_is_told():
    with pytest.raises(ConfigError, match="There is no deploy profile moon; choose one of cluster, lab, local"):
        read_profile("moon")


def test_no_profile_shipped_runs_whatever_is_latest():
    images = [read_profile(path.stem).image for path in PROFILES.glob("*.yaml")]
    assert not any(image and (image.endswith(":latest") or ":" not in image) for image in images)
