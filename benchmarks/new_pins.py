"""New Pin -> readable in the online store, at a steady rate, against the model's own forward time of such batches.

    python benchmarks/new_pins.py --model runs/latest/model --catalogue catalogues/emoji --redis
    python benchmarks/new_pins.py --model runs/latest/model --catalogue catalogues/emoji --seconds 5 --pins 200

Publishes the catalogue's first Pins as a space of a home of its own, starts the service on it (as `pinclip serve` does,
less MLflow), and lets a second process send single Pins, image and title, at --rate for --seconds: each at its moment,
whether or not those before it have their answers. The service answers when the vector is readable, so a Pin's time is
that from the moment it was due to its answer; every tenth is read back from the online store to see that this is so.
`forward` is ONNX Runtime alone, afterwards, on batches of the size that the service had on average. Where the rate is
not held, requests pile up or are refused, and the figures say so; then a lower --rate finds the most that is.
"""

import argparse
import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from feature_home import Home, redis_server  # noqa: E402  from tests/
from served_pins import Process, catalogue, publish  # noqa: E402

from model.data.catalogue import Catalogue  # noqa: E402
from serving.encoder import Encoder, open_encoder  # noqa: E402
from serving.features import Features  # noqa: E402
from serving.service.config import SpaceFiles  # noqa: E402

WARM, PASSES = 3.0, 50  # seconds of load before the clock counts; forward passes


def main(options: argparse.Namespace) -> None:
    store = "Redis" if options.redis else "SQLite"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = redis_server(folder / "redis") if options.redis else nullcontext(SimpleNamespace(address=""))
        with server as redis:
            os.environ["PINCLIP_REDIS"] = redis.address
            files = published(options, folder, redis.address)
            sent, text = under_load(files, options, folder / "log", redis.address)
            some = sent["ids"][::10]
            missing = Features.of(files.feast_home / "feature_store.yaml").pin_vectors(some, files.name)[1]
        print(f"{options.rate:g} Pins/s for {options.seconds:g} s, {store}; answers: {sent['statuses']}")
        size = report_service(np.array(sent["seconds"]), text, f"{(~missing).sum()} of {len(some)} read back")
        report_forward(open_encoder(files.model_folder, files.state / "encoder"), size, np.array(sent["seconds"]))


def published(options: argparse.Namespace, folder: Path, redis: str) -> SpaceFiles:
    rows = pins_of(options.catalogue, options.pins)
    home = Home(folder, redis)
    columns = ([row[name] for row in rows] for name in ("pin_id", "image", "title"))
    home.prepared = catalogue(folder / "own", *columns)
    return publish(home, options.model, "quantized")


def under_load(files: SpaceFiles, options: argparse.Namespace, log: Path, redis: str) -> tuple[dict, str]:
    """(what the second process saw, what /metrics says at the end)"""
    process = Process([files], None, log, redis, at_once=options.at_once)
    try:
        plan = {name: getattr(options, name) for name in ("rate", "seconds", "pins")} | {"address": process.address}
        command = [sys.executable, __file__, "--send", json.dumps(plan), "--catalogue", str(options.catalogue)]
        sent = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        return sent, process.get("/metrics").text
    finally:
        process.stop()


async def load(plan: dict, pins: list[dict]) -> dict:
    """The second process."""
    count, warm = int(plan["rate"] * (plan["seconds"] + WARM)), int(plan["rate"] * WARM)
    bodies = [(f"new-{n}", pins[n % len(pins)]) for n in range(count)]
    bodies = [(name, json.dumps({"pins": [pin | {"pin_id": name}]})) for name, pin in bodies]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        start = time.perf_counter() + 0.5

        async def one(number: int) -> tuple[str, int, float]:
            due, (name, body) = start + number / plan["rate"], bodies[number]
            await asyncio.sleep(due - time.perf_counter())
            async with session.post(f"{plan['address']}/v1/pins", data=body) as answer:
                await answer.read()
                return name, answer.status, time.perf_counter() - due

        answers = (await asyncio.gather(*map(one, range(count))))[warm:]
    taken = [(name, seconds) for name, status, seconds in answers if status == 200]
    statuses = [status for _, status, _ in answers]
    counted = {status: statuses.count(status) for status in set(statuses)}
    return {"statuses": counted, "ids": [name for name, _ in taken], "seconds": [seconds for _, seconds in taken]}


def pins_of(folder: Path, count: int) -> list[dict]:
    rows: list[dict] = []
    for batch in Catalogue(folder).batches("pins", ["pin_id", "image", "title"]):
        rows += batch.to_pylist()
        if len(rows) >= count:
            break
    return rows[:count]


def report_service(seconds: np.ndarray, text: str, read_back: str) -> int:
    """Prints; returns the mean size of a batch."""
    p50, p99 = np.percentile(seconds, (50, 99)) * 1e3
    print(f"new Pin -> readable   p50 {p50:.1f} ms   p99 {p99:.1f} ms   {read_back}")
    figures = dict(re.findall(r"^(pinclip_(?:stage|batch)\S+_(?:sum|count)\{.*?\}) (\S+)$", text, re.MULTILINE))
    means = {
        key: float(figures[key]) / float(figures[key.replace("_sum", "_count")]) for key in figures if "_sum" in key
    }
    stages = {re.search(r'stage="(\w+)"', key)[1]: mean for key, mean in means.items() if "stage=" in key}
    size = next(mean for key, mean in means.items() if "batch_pins" in key)
    parts = "   ".join(f"{name} {mean * 1e3:.1f} ms" for name, mean in stages.items())
    print(f"a batch               {size:.2f} Pins   {parts}")
    return max(round(size), 1)


def report_forward(encoder: Encoder, size: int, service: np.ndarray) -> None:
    side, seconds = encoder.image_size, []
    pixels = np.random.default_rng(0).integers(0, 256, (size, side, side, 3), dtype=np.uint8)
    for _ in range(PASSES):
        started = time.perf_counter()
        encoder.pins(pixels, np.ones(size, dtype=bool), [{"title": "a red cat with a flag"}] * size)
        seconds.append(time.perf_counter() - started)
    p50, p99 = np.percentile(seconds[5:], (50, 99)) * 1e3
    ratio = np.percentile(service, 99) * 1e3 / p50
    print(f"forward of {size:<11}p50 {p50:.1f} ms   p99 {p99:.1f} ms   p99 of the service is {ratio:.1f} x its p50")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--catalogue", type=Path, required=True)
    parser.add_argument("--pins", type=int, default=2000, help="of the catalogue, published before the load")
    parser.add_argument("--rate", type=float, default=50, help="new Pins a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--redis", action="store_true", help="a redis-server of its own; else SQLite")
    parser.add_argument("--send", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.send:
        rows = pins_of(given.catalogue, given.send["pins"])
        encoded = [{"title": row["title"], "image": base64.b64encode(row["image"]).decode()} for row in rows]
        print(json.dumps(asyncio.run(load(given.send, encoded))))
    else:
        main(given)
