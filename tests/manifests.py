"""The manifests of deploy/kustomize as kubectl builds them, and the schemas that they are held against."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

Object = dict[str, Any]
ROOT = Path(__file__).parents[1]
KUSTOMIZE = ROOT / "deploy/kustomize"
CRDS = ROOT.parent / "shared/schemas/crds"
KUBERNETES = "1.33"  # autoscaling/v2, policy/v1 and all else we use is in every version since 1.27
OURS = ("ray.io", "kueue.x-k8s.io", "pipelines.kubeflow.org", "feast.dev")


@cache
def built(folder: str) -> str:
    """What `kubectl kustomize` prints for a folder of deploy/kustomize; skips the test where nothing can build it."""
    if kubectl := shutil.which("kubectl"):
        command = [kubectl, "kustomize"]
    elif kustomize := shutil.which("kustomize"):
        command = [kustomize, "build"]
    else:
        pytest.skip("neither kubectl nor kustomize is installed; docs/operations.md says which versions do")
    done = subprocess.run([*command, str(KUSTOMIZE / folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(folder: str) -> list[Object]:
    """The objects of a build, anew at every call: a test may change its own."""
    return [node for node in yaml.safe_load_all(built(folder)) if node]


def the(folder: str, kind: str, name: str) -> Object:
    """The one object of that kind and name."""
    (found,) = (one for one in objects(folder) if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def validate(node: Object) -> None:
    """Raises jsonschema.ValidationError for what Kubernetes would refuse or not know."""
    group, _, version = node["apiVersion"].rpartition("/")
    if group in OURS:
        jsonschema.Draft202012Validator(crd_schema(group, version, node["kind"])).validate(node)
    else:
        kubernetes_validate.validate(node, KUBERNETES, strict=True)


@cache
def crd_schema(group: str, version: str, kind: str) -> Object:
    """A CRD's schema with unknown fields refused; skips the test where ../shared is absent."""
    if not CRDS.is_dir():
        pytest.skip(f"{CRDS} is absent: no schema to hold {kind} against")
    for path in CRDS.glob(f"{group}_{kind.lower()}*.yaml"):
        crd = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)  # 25,000 lines of it
        if crd["spec"]["names"]["kind"] == kind:
            (found,) = (v["schema"]["openAPIV3Schema"] for v in crd["spec"]["versions"] if v["name"] == version)
            found["properties"]["metadata"] = {"type": "object"}
            return _closed(found)
    raise AssertionError(f"no CRD for {kind} of {group} in {CRDS}")


def _closed(schema: Any) -> Any:
    """OpenAPI's dialect as JSON Schema: nullable, and objects that take no other field than theirs."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        keeps = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
        closed |= {} if keeps else {"additionalProperties": False}
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        closed["type"] = [schema["type"], "null"]
    return closed
