"""deploy/lab_secrets.sh, with a kubectl that keeps what it is given: makes what the overlay refers to, once."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from manifest_policy import containers, pod_spec
from manifests import ROOT, objects

KUBECTL = """#!/bin/sh
echo "$*" >> "$KEPT/commands"
case "$*" in
    *"get secret"*) [ ! -e "$KEPT/secret.$5" ] || echo "secret/$5" ;;
    *"get namespace"*) [ ! -e "$KEPT/namespace" ] || echo namespace ;;
    "create namespace"*) touch "$KEPT/namespace" ;;
    *"delete secret"*) rm -f "$KEPT/secret.$5" ;;
    *create*)
        cat > "$KEPT/new"
        name=$(sed -n 's/metadata: {name: \\(.*\\)}/\\1/p' "$KEPT/new")
        [ ! -e "$KEPT/secret.$name" ] || exit 1 # AlreadyExists
        mv "$KEPT/new" "$KEPT/secret.$name" ;;
esac
"""


@pytest.fixture
def kept(tmp_path) -> Path:
    (tmp_path / "bin").mkdir()
    kubectl = tmp_path / "bin/kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    return tmp_path


def run(kept: Path) -> dict[str, dict[str, str]]:
    """Secret -> its fields, after one more run."""
    environment = os.environ | {"PATH": f"{kept / 'bin'}:{os.environ['PATH']}", "KEPT": str(kept)}
    subprocess.run([ROOT / "deploy/lab_secrets.sh"], env=environment, check=True, timeout=60)
    files = kept.glob("secret.*")
    return {file.name.removeprefix("secret."): yaml.safe_load(file.read_text())["stringData"] for file in files}


def test_it_makes_every_key_that_the_overlay_refers_to(kept):
    made, wanted = run(kept), dict[str, set[str]]()
    for node in objects("overlays/lab"):
        pod = pod_spec(node) or {"containers": []}
        for box in containers(pod):
            for variable in box.get("env", ()):
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    wanted.setdefault(reference["name"], set()).add(reference["key"])
        for volume in pod.get("volumes", ()):
            if secret := volume.get("secret"):
                wanted.setdefault(secret["secretName"], set()).update(item["key"] for item in secret["items"])
    assert {name: set(fields) for name, fields in made.items()} == wanted


@pytest.mark.parametrize("lost", ["pinclip-mlflow-server", "pinclip-redis-server"])
def test_ended_between_two_secrets_that_share_a_password_it_makes_both_anew(kept, lost):
    before = run(kept)
    (kept / f"secret.{lost}").unlink()
    made, half = run(kept), lost.removesuffix("-server")
    assert set(made) == set(before) and made[half] != before[half]
    assert made["pinclip-mlflow"]["password"] == made["pinclip-mlflow-server"]["admin_password"]


def test_both_sides_have_the_same_password_and_no_command_has_any(kept):
    made = run(kept)
    assert made["pinclip-mlflow"]["password"] == made["pinclip-mlflow-server"]["admin_password"]
    assert f"admin_username = {made['pinclip-mlflow']['username']}" in made["pinclip-mlflow-server"]["basic_auth.ini"]
    password = made["pinclip-redis"]["connection"].partition("password=")[2]
    assert hashlib.sha256(password.encode()).hexdigest() in made["pinclip-redis-server"]["users.acl"]
    passwords = [password, made["pinclip-mlflow"]["password"], made["pinclip-encoder"]["token"]]
    assert len(set(passwords)) == 3 and all(len(one) == 48 for one in passwords)
    commands = (kept / "commands").read_text()
    assert not any(one in commands for one in passwords) and "apply" not in commands


def test_a_second_run_leaves_what_is_there(kept):
    assert run(kept) == run(kept)
    assert (kept / "commands").read_text().count("create namespace") == 1
