"""The whole pipeline against real servers, all on this machine: `make e2e-services`.

A catalogue goes through a DVC remote on S3; the pipeline reads it and writes to MLflow (records in PostgreSQL, files in
S3, users with passwords) and to a Redis with a password; the version is promoted and the features read as a ranker
reads them. A marked Pin goes through all of it, through a service, monitoring and a study; it is forgotten while the
service runs, and is then in no file and on no server. One settings file says where all that is. No part of `make test`:
it needs postgresql and redis-server.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import boto3
import marked_pin
import numpy as np
import pyarrow.parquet as pq
import requests
from servers import PROGRAMS, Servers, started

from model.data.catalogue import Catalogue
from model.embedding.affine import read_affine
from model.errors import PinclipError, RunError
from pipelines.lineage import lineage
from serving.features import Features

PINS, BOARDS = 400, 60
RUN = "runs/first"
# The owner's: the repository of the catalogue, caches of DVC. PostgreSQL is asked, its files are not read.
OTHERS = ["data", "clone/.dvc", "clone/.git", "postgres"]
# Where the marked Pin is before; names of shards and runs are random.
HELD = {
    "clone/catalogue/pins/",
    "clone/catalogue/boards/",
    "clone/catalogue/queries/",
    "home/feast/offline/pin_embedding_v1/",
    "home/feast/offline/pin_semantic_id_v1/",
    "home/feast/offline/pin_stats/",
    "home/serving/v1/index/",
    "home/serving/v1/journal/",
    "rayjobs/pinclip-killed/",
    f"{RUN}/neighbours/",
    f"{RUN}/quantized/",
    f"{RUN}/vectors/",
    "studies/",
    "servers: redis",
}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="pinclip-services-") as name, _timed("all of it"):
        folder = Path(name)
        with _timed("servers started"):
            stack = contextlib.ExitStack()
            servers = stack.enter_context(started(folder))
        with stack:
            os.environ.update(servers.environment | {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"})
            with _timed("catalogue made, pushed to S3 by DVC and pulled elsewhere"):
                catalogue = _through_dvc(folder, servers)
            _refuses_a_wrong_password(servers, catalogue)
            with _timed("pipeline"):
                # So small a catalogue says little about quality; its features are to be published all the same.
                settings = ("--profile", "smoke", "--set", "gate.min_retention=0", "--set", "gate.max_slice_gap=1")
                _pinclip("run", "--catalogue", str(catalogue), *settings, "--out", str(folder / RUN))
            with _timed("checked"):
                _check_mlflow(servers)
                _check_features(folder / RUN, folder / "home")
            with _timed("promoted"):
                _pinclip("promote", "1")
                print(_pinclip("history"))
            with _timed("a Pin used by everything, and forgotten"):
                _forgets(folder, servers, catalogue)
            _check_secrets(folder, servers)


def _through_dvc(folder: Path, servers: Servers) -> Path:
    """A generated catalogue, versioned in one repository and pulled into a clone of it; returns the clone's."""
    here, there = folder / "data", folder / "clone"
    here.mkdir()
    _pinclip("generate", "--pins", str(PINS), "--boards", str(BOARDS), "--out", str(here / "catalogue"))
    marked_pin.plant(here / "catalogue")
    _run(("git", "init", "-q"), here)
    _dvc(here, "init", "-q")
    _dvc(here, "remote", "add", "-q", "-d", "s3", "s3://dvc/catalogues")
    _dvc(here, "remote", "modify", "s3", "endpointurl", servers.aws["AWS_ENDPOINT_URL"])
    _dvc(here, "add", "-q", "catalogue")
    _dvc(here, "push", "-q")
    _run(("git", "add", "-A"), here)
    _run(("git", "-c", "user.name=e2e", "-c", "user.email=e2e@example.org", "commit", "-q", "-m", "Data"), here)
    _run(("git", "clone", "-q", str(here), str(there)), folder)
    _dvc(there, "pull", "-q")
    digests = [lineage(Catalogue(place / "catalogue"))["catalogue_digest"] for place in (here, there)]
    if digests[0] != digests[1]:
        raise RunError(f"DVC brought another catalogue back than it was given: {digests}.")
    return there / "catalogue"


def _refuses_a_wrong_password(servers: Servers, catalogue: Path) -> None:
    """At once, in one sentence, before any step; the password is not in it."""
    command = ("run", "--catalogue", str(catalogue), "--profile", "smoke", "--out", str(servers.folder / "refused"))
    done = _run((str(PROGRAMS / "pinclip"), *command), servers.folder, {"MLFLOW_TRACKING_PASSWORD": "wrong"}, code=2)
    lines = done.stderr.strip().splitlines()
    if len(lines) != 1 or "password" not in lines[0] or (servers.folder / "refused").exists():
        raise RunError(f"A wrong password was answered with {done.stderr!r}.")
    print(f"a wrong password: {lines[0]}")


def _check_mlflow(servers: Servers) -> None:
    """The version is the challenger, its records are in PostgreSQL and its files in S3."""
    from mlflow import MlflowClient, artifacts, set_tracking_uri

    uri = f"http://127.0.0.1:{servers.mlflow}"
    set_tracking_uri(uri)
    version = MlflowClient(uri, uri).get_model_version_by_alias("pinclip", "challenger")
    card = artifacts.load_text(f"runs:/{version.run_id}/model_card.md")
    with contextlib.closing(servers.connect("mlflow")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT version FROM model_versions WHERE name = 'pinclip'")
        versions = cursor.fetchall()
    client = boto3.client("s3", endpoint_url=servers.aws["AWS_ENDPOINT_URL"])
    files = [one["Key"] for one in client.list_objects_v2(Bucket="mlflow").get("Contents", [])]
    weights = [name for name in files if name.endswith("model.safetensors")]
    if versions != [(1,)] or not weights or "Pin" not in card:
        raise RunError(f"MLflow holds {versions} in PostgreSQL and {files} in S3.")
    print(f"MLflow: version {version.version} in PostgreSQL, {len(files)} files in S3, among them {weights[0]}")


def _check_features(run: Path, home: Path) -> None:
    """Every vector that Redis answers is that of the run's shards."""
    space = json.loads((run / "publication.json").read_text(encoding="utf-8"))["space"]
    quantized, affine = run / "quantized", read_affine(run / "quantized")
    table = pq.read_table(quantized / "pins")
    stored = np.frombuffer(b"".join(table["vector"].to_pylist()), np.uint8).reshape(-1, affine.bytes_per_pin)
    vectors, missing = Features.of(home / "feast" / "feature_store.yaml").pin_vectors(
        table["pin_id"].to_pylist(), space
    )
    if missing.any() or not np.array_equal(vectors, affine.vectors(affine.unpack(stored))):
        raise RunError(f"Redis answers other vectors than {quantized} holds; {missing.sum()} are missing.")
    print(f"Redis: {len(vectors)} vectors of the space {space}, all as in the shards")


def _forgets(folder: Path, servers: Servers, catalogue: Path) -> None:
    """With the service running; afterwards nothing holds the Pin, and the service does not know it."""
    study = ("--arms", "clip", "--seeds", "1", "--set", "train.epochs=1")
    with marked_pin.service(folder) as address:
        marked_pin.pushed(address)
        _pinclip("monitor", "--catalogue", str(catalogue), "--profile", "smoke", at=folder)
        _pinclip("ablate", "--catalogue", str(catalogue), "--profile", "smoke", *study, at=folder)
        marked_pin.kept_by_a_rayjob(catalogue, folder / "home")
        before = marked_pin.places(folder, servers, OTHERS)
        if missing := {start for start in HELD if not any(path.startswith(start) for path in before)}:
            raise RunError(f"The marked Pin was never in {missing}; it is in {before}.")
        print(_pinclip("forget", marked_pin.PIN, at=folder))
        if requests.get(f"{address}/v1/pins/{marked_pin.PIN}/related", timeout=60).status_code != 404:
            raise RunError("The service still answers for the forgotten Pin.")
        left = marked_pin.places(folder, servers, OTHERS)
    if left := [*left, *marked_pin.places(folder, servers, OTHERS)]:
        raise RunError(f"The forgotten Pin is still in {left}.")
    print(f"the marked Pin was in {len(before)} places, and is in none")


def _check_secrets(folder: Path, servers: Servers) -> None:
    """No password is in any file that a run left, logs included; the servers' own configuration is theirs."""
    own = {folder / "basic_auth.ini", folder / "redis.conf"}
    for path in folder.rglob("*"):
        if path in own or not path.is_file() or path.is_relative_to(folder / "postgres"):
            continue
        content = path.read_bytes()
        if found := [name for name, secret in servers.secret.items() if secret.encode() in content]:
            raise RunError(f"{path} holds the password of {found[0]}.")
    print("no password is in any file or log")


def _pinclip(*arguments: str, at: Path | None = None) -> str:
    return _run((str(PROGRAMS / "pinclip"), *arguments), at or Path.cwd()).stdout


def _dvc(folder: Path, *arguments: str) -> None:
    _run((str(PROGRAMS / "dvc"), *arguments), folder)


def _run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | dict(environment or {}), capture_output=True, text=True, timeout=1200
    )
    if done.returncode != code:
        raise RunError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


@contextlib.contextmanager
def _timed(what: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    try:
        main()
    except PinclipError as error:
        sys.exit(str(error))
