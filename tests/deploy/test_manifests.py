"""Every build of deploy/kustomize is valid Kubernetes, refers to nothing that is absent, and agrees with the rest."""

from collections.abc import Iterator

import jsonschema
import pytest
import yaml
from kubernetes.utils.quantity import parse_quantity
from manifest_policy import containers, pod_spec
from manifests import ROOT, Object, built, objects, the, validate

FOLDERS = ["base", "overlays/dev", "overlays/lab", "overlays/prod"]
SCALED = [folder for folder in FOLDERS if folder != "overlays/lab"]
PROFILES = [("cluster", "overlays/prod"), ("lab", "overlays/lab")]
DOCUMENT = ROOT / "docs/operations.md"


@pytest.mark.parametrize("folder", [*FOLDERS, "queue", "queue/lab"])
def test_every_object_is_valid(folder):
    for node in objects(folder):
        try:
            validate(node)
        except jsonschema.ValidationError as error:
            pytest.fail(f"{node['kind']} {node['metadata']['name']}: {error.json_path}: {error.message}")


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", ("spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"), "http"),
        ("Deployment", ("spec", "template", "spec", "unknown"), 1),
        ("LocalQueue", ("spec", "clusterQueue"), 1),
        ("LocalQueue", ("spec", "unknown"), "pinclip"),
    ],
)
def test_a_wrong_object_is_refused(kind, path, value):
    node = next(one for one in objects("overlays/prod") if one["kind"] == kind)
    place = node
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validate(node)


def names(nodes: list[Object], kind: str) -> set[str]:
    return {node["metadata"]["name"] for node in nodes if node["kind"] == kind}


def referred(node: object, key: str) -> Iterator[str]:
    """Every value of `key` anywhere below."""
    if isinstance(node, dict):
        if isinstance(node.get(key), str):
            yield node[key]
        for child in node.values():
            yield from referred(child, key)
    if isinstance(node, list):
        for child in node:
            yield from referred(child, key)


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_pods_refer_to_exists(folder):
    nodes = objects(folder)
    accounts, claims, maps = (names(nodes, kind) for kind in ("ServiceAccount", "PersistentVolumeClaim", "ConfigMap"))
    for node in nodes:
        if (pod := pod_spec(node)) is None:
            continue
        assert pod["serviceAccountName"] in accounts
        assert set(referred(pod, "claimName")) <= claims
        for source in [*pod["volumes"], *(each for box in containers(pod) for each in box.get("envFrom", ()))]:
            assert set(referred([source.get("configMap"), source.get("configMapRef")], "name")) <= maps


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_selector_selects(folder):
    nodes = objects(folder)
    labels = [node["spec"]["template"]["metadata"]["labels"] for node in nodes if "template" in node.get("spec", {})]
    for node in nodes:
        if node["kind"] in ("Service", "PodDisruptionBudget"):
            selector = node["spec"]["selector"]
            wanted = selector.get("matchLabels", selector)
            assert any(wanted.items() <= some.items() for some in labels), node["metadata"]["name"]


def test_the_encoder_scales_and_is_drained_one_at_a_time():
    for folder in SCALED:
        nodes = {(node["kind"], node["metadata"]["name"]): node["spec"] for node in objects(folder) if "spec" in node}
        scaler = nodes["HorizontalPodAutoscaler", "encoder"]
        assert scaler["scaleTargetRef"]["name"] == "encoder" and scaler["minReplicas"] < scaler["maxReplicas"]
        assert nodes["PodDisruptionBudget", "encoder"]["maxUnavailable"] == 1
        assert "replicas" not in nodes["Deployment", "encoder"]  # it would undo the autoscaler at every apply


@pytest.mark.parametrize("folder", FOLDERS)
def test_features_waits_for_the_first_publication_before_it_starts(folder):
    (waiting,) = pod_spec(the(folder, "Deployment", "features"))["initContainers"]
    assert waiting["command"] == ["pinclip", "wait"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_encoder_starts_before_the_first_publication_and_is_ready_after_it(folder):
    (encoder,) = pod_spec(the(folder, "Deployment", "encoder"))["containers"]
    assert "--wait" in encoder["command"]
    paths = {probe: encoder[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}


def test_the_most_encoders_leave_half_of_the_quota():
    for folder in SCALED:
        nodes = objects(folder)
        (quota,) = (node["spec"]["hard"] for node in nodes if node["kind"] == "ResourceQuota")
        (scaler,) = (node["spec"] for node in nodes if node["kind"] == "HorizontalPodAutoscaler")
        (encoder,) = (node for node in nodes if (node["kind"], node["metadata"]["name"]) == ("Deployment", "encoder"))
        (box,) = containers(pod_spec(encoder))
        assert scaler["maxReplicas"] * float(box["resources"]["limits"]["cpu"]) <= float(quota["limits.cpu"]) / 2


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_document_tells_of_every_secret(folder):
    text = DOCUMENT.read_text(encoding="utf-8")
    for node in objects(folder):
        pod = pod_spec(node) or {"containers": [], "volumes": []}
        for box in containers(pod):
            for variable in box.get("env", ()):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    assert f"`{reference['name']}`" in text and f"`{reference['key']}`" in text, reference
        for volume in pod.get("volumes", ()):
            if "secret" in volume:
                assert f"`{volume['secret']['secretName']}`" in text


@pytest.mark.parametrize(("name", "folder"), PROFILES)
def test_a_profile_finds_what_it_names(name, folder):
    profile = yaml.safe_load((ROOT / f"deploy/profiles/{name}.yaml").read_text(encoding="utf-8"))
    nodes = objects(folder)
    assert profile["service_account"] in names(nodes, "ServiceAccount")
    assert set(referred(profile, "claim")) <= names(nodes, "PersistentVolumeClaim")
    assert f"image: {profile['image']}" in built(folder)
    assert profile["defaults"]["env"]["PINCLIP_MLFLOW_URI"] == "http://mlflow:5000"
    ray = profile["pipelines"]["training"]["train"]["ray"]
    assert ray["service_account"] in names(nodes, "ServiceAccount")
    assert ray["queue"] in names(nodes, "LocalQueue")


@pytest.mark.parametrize(("name", "folder"), [*PROFILES, ("cluster", "base"), ("cluster", "overlays/dev")])
def test_a_steps_scratch_fits_what_its_container_may_store(name, folder):
    """KFP sets no limit of ephemeral-storage on a step's container, so the LimitRange's default is it."""
    profile = yaml.safe_load((ROOT / f"deploy/profiles/{name}.yaml").read_text(encoding="utf-8"))
    (allowed,) = (
        one["default"]["ephemeral-storage"]
        for node in objects(folder)
        if node["kind"] == "LimitRange"
        for one in node["spec"]["limits"]
        if one["type"] == "Container"
    )
    scratch = [parse_quantity(size) for size in referred(profile, "scratch")]
    assert scratch and parse_quantity(allowed) > max(scratch)
