"""The whole smoke pipeline in containers, one a step, by kfp's DockerRunner: `make e2e-docker`.

It needs a Docker engine (DOCKER_HOST, or the usual socket) and the image of `make image`; so it is a script and no part
of `make test`. Every container has a read-only root, no network, no capabilities and no right to gain any; all that it
can write to is /tmp and the folder runs/docker, where the results lie afterwards.
"""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import docker
from docker.errors import ContainerError
from kfp import local

from components.configuration import load, pipeline_arguments
from components.container_image import IMAGE
from components.progress import EVENTS, finished
from model.data.catalogue import Catalogue
from model.errors import PinclipError, RunError
from pipelines.lineage import lineage, run_identity

OUT = Path("runs/docker").absolute()
PINS, BOARDS = 400, 60
GIB = 2**30


def main() -> None:
    os.umask(0)  # the image's user, whom this machine does not know, is to write into these folders
    shutil.rmtree(OUT, ignore_errors=True)
    for folder in ("artifacts", "home"):
        (OUT / folder).mkdir(parents=True)
    client, started = docker.from_env(), time.monotonic()
    _check_confinement(client)
    command = ["pinclip", "generate", "--pins", str(PINS), "--boards", str(BOARDS), "--out", str(OUT / "catalogue")]
    client.containers.run(IMAGE, command, remove=True, **_confined())
    _run_pipeline()
    _report(client, time.monotonic() - started)


def _confined() -> dict[str, Any]:
    """Arguments of `docker run`, as strict as deploy/kustomize is with pods."""
    root = os.getuid() == 0
    return {
        "user": "" if root else f"{os.getuid()}:{os.getgid()}",  # "": the image's; else we could not remove its files
        "read_only": True,
        "tmpfs": {"/tmp": "size=2g"},
        "shm_size": "1g",  # Ray's object store
        "network_mode": "none",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mounts": [docker.types.Mount(str(OUT), str(OUT), type="bind")],
        "environment": {"PINCLIP_HOME": str(OUT / "home"), EVENTS: str(OUT / "events.jsonl")},
    }


def _check_confinement(client: docker.DockerClient) -> None:
    """Raises RunError for a container that runs as root, or can write to the code that it runs."""
    if client.containers.run(IMAGE, ["id", "-u"], remove=True, **_confined()).strip() == b"0" and os.getuid() == 0:
        raise RunError(f"The image {IMAGE} runs as root; build it again with `make image`.")
    try:
        client.containers.run(IMAGE, ["touch", "/app/model/written"], remove=True, **_confined())
    except ContainerError:
        return
    raise RunError(f"A container of {IMAGE} could write to /app; its root is not read-only.")


def _run_pipeline() -> None:
    from pipelines.training import training

    # So small a catalogue says little about quality; its features are to be published all the same.
    config, origin = load("smoke", ["gate.min_retention=0"]), lineage(Catalogue(OUT / "catalogue"))
    local.init(local.DockerRunner(**_confined()), pipeline_root=str(OUT / "artifacts"))
    settings = pipeline_arguments(config, training.component_spec.inputs)
    training(catalogue=origin["catalogue"], run=run_identity(config, origin), lineage=origin, **settings)


def _report(client: docker.DockerClient, seconds: float) -> None:
    """Judges by what was published: kfp takes a container that it could not ask for its exit status for a success."""
    version, publication = (_output(f"{name}") for name in ("register/version", "publish/published"))
    if not version["verdict"]["passed"] or not 0 < publication["pins"] == publication["checked"]:
        raise RunError(f"The pipeline ended without published features: {version['verdict']}, {publication}.")
    for step, end in finished(OUT / "events.jsonl").items():
        print(f"{step:<16} {end['seconds']:8.1f} s {end['peak_bytes'] / GIB:8.2f} GiB")
    image = client.images.get(IMAGE)
    print(
        f"{publication['pins']} Pins published as {publication['space']}, all read back equal, {seconds:.0f} s in all"
    )
    print(f"{IMAGE}: {image.attrs['Size'] / GIB:.2f} GiB, revision {image.labels['org.opencontainers.image.revision']}")


def _output(name: str) -> dict[str, Any]:
    (path,) = (OUT / "artifacts").glob(f"*/{name}")
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    try:
        main()
    except PinclipError as error:
        raise SystemExit(str(error)) from None
