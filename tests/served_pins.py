"""What the tests of the service share: a tiny model, published spaces of drawn Pins, the service in its own process.

It is also a program: `python tests/served_pins.py '<json>'` is that process.
"""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import requests
import torch
from PIL import Image, ImageDraw
from tiny import TINY

from components.configuration import load
from model.data.catalogue import Catalogue, CatalogueWriter
from model.embedding.affine import Affine
from model.embedding.embedder import Embedder
from model.embedding.held_out import MODES
from model.files import write_json
from model.network.checkpoint import save_model
from model.network.encoder import PinEncoder
from model.network.text import tokenizer_for
from model.tags.calibration import TAGS_FILE, TagCalibration
from serving.service.config import Opening, ServiceConfig, SpaceFiles

ROOT = Path(__file__).resolve().parents[1]
COLOURS = {"coral": "#e2725b", "teal": "#2a8f8a", "indigo": "#4b4fa8", "mustard": "#d9a62e", "moss": "#6f8f46"}
SHAPES = ("circle", "square", "triangle")
PINS = 60
TITLES = [f"{list(COLOURS)[i % 5]} {SHAPES[i % 3]} {i}" for i in range(PINS)]
IDS = [f"pin-{i}" for i in range(PINS)]
BY_SHARE = [0.0, 1.0, 0.0, 0.0, 0.0]  # a tag's score is about its share among the very nearest Pins


def drawn(index: int) -> bytes:
    """PNG of a shape, 96 x 72 pixels."""
    picture = Image.new("RGB", (96, 72), "#f4efe6")
    pencil, colour = ImageDraw.Draw(picture), list(COLOURS.values())[index % 5]
    box = (24 + index % 9, 12, 72 + index % 9, 60)
    if index % 3 == 0:
        pencil.ellipse(box, fill=colour)
    elif index % 3 == 1:
        pencil.rectangle(box, fill=colour)
    else:
        pencil.polygon([(box[0], box[3]), (box[2], box[3]), (48, box[1])], fill=colour)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def tiny_model(folder: Path, *settings: str) -> Path:
    """A model folder with weights drawn by chance, large enough that vectors differ."""
    config = load("smoke", (*TINY, *settings))
    torch.manual_seed(0)
    encoder = PinEncoder(config)
    for parameter in encoder.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    save_model(folder, encoder, tokenizer_for(TITLES, config.text))
    return folder


def catalogue(prepared: Path, ids: list[str] = IDS, images: list[bytes] | None = None, titles=TITLES) -> Path:
    """A prepared folder with a catalogue of these Pins, or of the drawn ones, ten to a board; a Pin's price is its
    number, its slice its colour, and whoever searched for a shape clicked on it."""
    columns = {"pin_id": ids, "image": images or [drawn(i) for i in range(PINS)], "title": titles}
    columns["slice_colour"] = [list(COLOURS)[i % 5] for i in range(len(ids))]
    columns["number_price"] = [float(i) for i in range(len(ids))]
    queries = {
        "query": [SHAPES[i % 3] for i in range(len(ids))],
        "pin_id": ids,
        "clicks": [3 - i % 3 for i in range(len(ids))],
    }
    with CatalogueWriter(prepared / "catalogue", rows_per_shard=32) as writer:
        writer.write("pins", pa.table(columns))
        writer.write("boards", pa.table({"board_id": [f"b{i // 10}" for i in range(len(ids))], "pin_id": ids}))
        writer.write("queries", pa.table(queries))
    return prepared


def publish(home, model_folder: Path, name: str) -> SpaceFiles:
    """Embeds the Pins of the home's catalogue and publishes them as a new space."""
    pins = Catalogue(home.prepared / "catalogue").read("pins", ["pin_id", "image", "title"]).to_pydict()
    texts = [{"title": title} if title else {} for title in pins["title"]]
    vectors_NE = Embedder(model_folder).pins(pins["image"], texts)
    affine = Affine(scale=1 / 127, zero_point=0, bits=8, dim=vectors_NE.shape[1])
    folder = home.root / name
    (folder / "pins").mkdir(parents=True)
    stored = pa.array([row.tobytes() for row in affine.quantize(vectors_NE)], pa.binary())
    pq.write_table(pa.table({"pin_id": pins["pin_id"], "vector": stored}), folder / "pins" / "00000.parquet")
    write_json(folder / "quantization.json", asdict(affine))
    registration = home.registered()
    home.publish(folder, registration)
    files = SpaceFiles(
        registration.space, home.settings.home / "feast", model_folder, home.root / "state" / registration.space
    )
    kinds = {"query": BY_SHARE, "slice_colour": BY_SHARE}
    TagCalibration(dict.fromkeys(MODES, kinds), 2, {}).write(files.state / TAGS_FILE)
    return files


class Process:
    """The service, started for real on a free port of this machine."""

    def __init__(self, files: list[SpaceFiles], catalogue: Path | None, log: Path, redis: str = "", **config) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            config["port"] = free.getsockname()[1]
        self.address, self.log = f"http://127.0.0.1:{config['port']}", log
        asked = {"files": [asdict(one) for one in files], "catalogue": catalogue, "config": config}
        command = [sys.executable, __file__, json.dumps(asked, default=str)]
        # The packages come before the folders of tests beside this file, which are named like them.
        environment = os.environ | {"PINCLIP_REDIS": redis, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
        self.session = requests.Session()
        if config.get("token"):
            self.session.headers["Authorization"] = f"Bearer {config['token']}"
        self.process = subprocess.Popen(command, stdout=log.open("w"), stderr=subprocess.STDOUT, env=environment)
        if not self._is_up():
            raise RuntimeError(f"The service does not start:\n{log.read_text()[-4000:]}")

    def get(self, path: str, **options) -> requests.Response:
        return self.session.get(self.address + path, timeout=60, **options)

    def post(self, path: str, message: object, **options) -> requests.Response:
        return self.session.post(self.address + path, json=message, timeout=60, **options)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def _is_up(self) -> bool:
        for _ in range(3000):
            if self.process.poll() is not None:
                return False
            with suppress(requests.RequestException):
                if requests.get(f"{self.address}/health/ready", timeout=5).status_code == 200:
                    return True
            time.sleep(0.2)
        self.process.kill()
        return False


def main() -> None:
    from components.ray.cluster import ray_cluster
    from serving.service.deployment import serve_until_stopped

    asked = json.loads(sys.argv[1])
    files = [SpaceFiles(**{n: v if n == "name" else Path(v) for n, v in one.items()}) for one in asked["files"]]
    folder = Path(asked["catalogue"]) if asked["catalogue"] else None
    with ray_cluster(places=2, log=True):
        serve_until_stopped(Opening(tuple(files), files[0].name, folder), ServiceConfig(**asked["config"]))


if __name__ == "__main__":
    main()
