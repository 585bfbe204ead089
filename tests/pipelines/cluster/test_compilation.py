"""`pinclip compile`: one text for a pipeline, and the resources for GitOps, valid by KFP's own definitions."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft4Validator

from components.configuration import load
from pipelines.cluster.compilation import package, write_package
from pipelines.cluster.profiles import read_profile

CRDS = Path(__file__).parents[3].parent / "shared" / "schemas" / "crds"
CLUSTER = read_profile("cluster")


def manifests(folder: Path, namespace: str = "") -> list[dict]:
    write_package(folder / "m.yaml", load("smoke"), CLUSTER, manifests=True, namespace=namespace)
    return list(yaml.safe_load_all((folder / "m.yaml").read_text()))


def definition(kind: str) -> dict:
    path = CRDS / f"pipelines.kubeflow.org_{kind.lower()}s.yaml"
    if not path.is_file():
        pytest.skip(f"{path} is absent: KFP's definitions are lent beside the checkout, not part of it")
    (version,) = [one for one in yaml.safe_load(path.read_text())["spec"]["versions"] if one["name"] == "v2beta1"]
    return version["schema"]["openAPIV3Schema"]


def test_the_version_follows_from_the_text():
    first, again = (package("training", load("smoke"), CLUSTER) for _ in range(2))
    assert first.version == again.version
    assert first.version.startswith("pinclip-training-")
    others = (
        package("training", load("smoke", ["seed=7"]), CLUSTER),
        package("training", load("smoke"), read_profile("local")),
    )
    assert len({one.version for one in (first, *others)}) == 3
    assert {"profile", "seed", "train_config", "gate_config"} < set(first.inputs)
    assert list(first.required) == ["catalogue", "run", "lineage"]


def test_manifests_hold_the_same_pipeline_under_the_name_that_submit_looks_for(tmp_path):
    built = package("training", load("smoke"), CLUSTER)
    pipeline, version = manifests(tmp_path, namespace="pinclip")
    assert [(one["kind"], one["metadata"]) for one in (pipeline, version)] == [
        ("Pipeline", {"name": "pinclip-training", "namespace": "pinclip"}),
        ("PipelineVersion", {"name": built.version, "namespace": "pinclip"}),
    ]
    assert version["spec"]["pipelineName"] == "pinclip-training"
    spec, platform = yaml.safe_load_all(built.text)
    assert version["spec"]["pipelineSpec"] == spec
    assert version["spec"]["platformSpec"] == platform


def test_manifests_fit_their_definitions(tmp_path):
    for manifest in manifests(tmp_path):
        schema = definition(manifest["kind"])
        assert set(manifest["spec"]) <= set(schema["properties"]["spec"]["properties"])
        Draft4Validator(schema).validate(manifest)


def test_without_a_namespace_the_manifests_leave_it_open(tmp_path):
    assert all("namespace" not in manifest["metadata"] for manifest in manifests(tmp_path))
