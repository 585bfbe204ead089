"""A Pin like no other: planted before a run, used by everything that uses Pins, forgotten, and looked for."""

import io
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3
import numpy as np
import pyarrow as pa
import redis
import requests
from PIL import Image
from searched_files import holding
from servers import PROGRAMS, Servers, free_port

from model.data.catalogue import Catalogue, CatalogueWriter
from model.errors import RunError

PIN, TITLE, QUERY = "zyxomma-7", "A zyxomma petiolatum at dusk", "zyxomma dragonfly"
PROJECT = b"pinclip"  # Feast's, right behind the id in a key of Redis
START = 300  # seconds that the service has to open


def picture() -> bytes:
    """PNG, 96 x 96 pixels of noise."""
    file = io.BytesIO()
    noise = np.random.default_rng(7).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def plant(catalogue: Path) -> None:
    """Adds the Pin to a generated catalogue: on the board of its first row, and found by a query of its own."""
    source = Catalogue(catalogue)
    whole = {name: source.read(name, list(source.columns(name))) for name in ("pins", "boards", "queries")}
    own = {"pin_id": PIN, "image": picture(), "title": TITLE, "query": QUERY, "annotations": [TITLE]}
    own |= {"description": TITLE, "caption": TITLE, "group_id": PIN}
    with CatalogueWriter(catalogue) as writer:
        for name, rows in whole.items():
            more = rows.slice(0, 1).to_pylist()[0]
            more |= {column: value for column, value in own.items() if column in more}
            writer.write(name, pa.concat_tables([rows, pa.Table.from_pylist([more], rows.schema)]))


@contextmanager
def service(folder: Path) -> Iterator[str]:
    """`pinclip serve`, ready; its address."""
    address = f"http://127.0.0.1:{free_port()}"
    command = [str(PROGRAMS / "pinclip"), "serve", "--port", address.rpartition(":")[2]]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + START
        while not _is_ready(address):
            if process.poll() is not None or time.monotonic() > end:
                raise RunError(f"pinclip serve does not open:\n{(folder / 'serve.log').read_text()[-3000:]}")
            time.sleep(0.5)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


def _is_ready(address: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"{address}/health/ready", timeout=5).status_code == 200
    return False


def pushed(address: str) -> None:
    """The Pin again, with other words, so that a journal has it."""
    answer = requests.post(f"{address}/v1/pins", json={"pins": [{"pin_id": PIN, "title": TITLE}]}, timeout=60)
    if answer.status_code != 200 or requests.get(f"{address}/v1/pins/{PIN}/related", timeout=60).status_code != 200:
        raise RunError(f"The service does not take the marked Pin: {answer.text}")


def kept_by_a_rayjob(catalogue: Path, home: Path) -> None:
    """What a killed RayJob's step leaves on the volume (components/ray/rayjob/shared_folder.py)."""
    left = home.parent / "rayjobs" / "pinclip-killed"
    shutil.copytree(catalogue, left / "prepared" / "catalogue")
    (left / "request.json").write_text(json.dumps({"prepared": str(left / "prepared")}))


def places(folder: Path, servers: Servers, without: list[str]) -> list[str]:
    """Everything that holds the id, the words or the picture: files, objects of S3, rows of PostgreSQL, keys of
    Redis."""
    words, contents = [PIN, TITLE, QUERY], [picture()]
    found = holding(folder, words, contents, without=without)
    copy = folder / "searched"
    _fetch_bucket(copy / "s3", servers)
    (copy / "postgres.sql").write_bytes(servers.dump("mlflow"))
    (copy / "redis").write_bytes(_all_of_redis(servers))
    found += [f"servers: {path}" for path in holding(copy, words, contents)]
    shutil.rmtree(copy)
    return found


def _fetch_bucket(to: Path, servers: Servers) -> None:
    client = boto3.client("s3", endpoint_url=servers.aws["AWS_ENDPOINT_URL"])
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="mlflow"):
        for one in page.get("Contents", []):
            file = to / one["Key"]
            file.parent.mkdir(parents=True, exist_ok=True)
            client.download_file("mlflow", one["Key"], os.fspath(file))


def _all_of_redis(servers: Servers) -> bytes:
    client = redis.Redis(port=servers.redis, password=servers.secret["redis"])
    held = [key for kind in ("hash", "string") for key in client.scan_iter(_type=kind)]
    values = [client.hgetall(key) if client.type(key) == b"hash" else {b"": client.get(key)} for key in held]
    parts = [part for value in values for pair in value.items() for part in pair]
    return b"\n".join([*(key.removesuffix(PROJECT) for key in held), *parts])
