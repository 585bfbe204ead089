"""The whole chain as a user runs it: a generated catalogue, one smoke run, and what comes out at every end of it."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image, ImageEnhance

from components.settings import Settings
from components.tracking import connect
from model.affine import read_affine
from model.catalogue import Catalogue, CatalogueWriter
from model.quantization import read_codes

PINCLIP = Path(sys.executable).parent / "pinclip"
RECALLS = {
    "pintext": {"image_to_text": {"recall@1", "recall@10"}, "text_to_image": {"recall@1", "recall@10"}},
    "related_pins": {"recall@10", "ndcg@10"},
    "search": {"recall@10"},
}
STEPS = {
    *("prepare", "validate", "neighbours", "train", "train-baseline", "embed", "embed-baseline"),
    *("quantize", "evaluate", "compare", "register", "report", "publish"),
}
pytestmark = pytest.mark.timeout(900)


class Place:
    """A working folder with a PINCLIP_HOME of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.settings = root, Settings(home=root / "home")

    def pinclip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PINCLIP_HOME": str(self.settings.home)}
        return subprocess.run(
            [str(PINCLIP), *arguments], cwd=self.root, env=environment, capture_output=True, text=True, timeout=800
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    """After `pinclip generate` and `pinclip run --profile smoke`."""
    place = Place(tmp_path_factory.mktemp("chain"))
    made = place.pinclip("generate", "--pins", "400", "--boards", "60", "--out", "catalogue")
    assert made.returncode == 0, made.stderr
    # So small a catalogue says little about quality; its features are to be published all the same.
    floor = ("--set", "gate.min_retention=0")
    ran = place.pinclip("run", "--catalogue", "catalogue", "--profile", "smoke", "--out", "runs/first", *floor)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    return place


@pytest.fixture(scope="module")
def metrics(place) -> dict:
    return json.loads((place.root / "runs/latest/metrics.json").read_text())


def keys(node: dict) -> dict | set:
    return {k: keys(v) for k, v in node.items()} if any(isinstance(v, dict) for v in node.values()) else set(node)


def test_the_metrics_have_the_promised_keys(metrics):
    for scope in (metrics, metrics["fresh"], metrics["baseline_clip"], metrics["baseline_clip"]["fresh"]):
        assert {name: keys(scope[name]) for name in RECALLS} == RECALLS
    assert set(metrics["timing_s"]) == STEPS
    assert metrics["quantization"]["bytes_per_pin"] == 64
    assert 350 < metrics["catalogue"]["pins"] <= 400  # a few gave no consent
    assert metrics["model"] == {"version": 1, "parameters": metrics["model"]["parameters"]}


def test_the_report_shows_pictures_and_fetches_nothing(place):
    page = (place.root / "runs/latest/report.html").read_text()
    assert page.count("data:image/") > 20
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_challenger_embeds_images_and_words(place):
    import mlflow

    mlflow.set_tracking_uri(place.settings.mlflow_uri)
    mlflow.set_registry_uri(place.settings.mlflow_uri)  # tests before this one have named theirs in this process
    model = mlflow.pyfunc.load_model("models:/pinclip@challenger")
    drawn = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(drawn, "PNG")
    rows = pd.DataFrame([{"image": drawn.getvalue()}, {"title": "a teal square"}, {"query": "teal"}])
    vectors = np.stack(model.predict(rows)["vector"].tolist())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_a_reviewer_finds_verdict_report_card_and_plots_in_mlflow(place):
    client = connect(place.settings)
    version = client.get_model_version_by_alias("pinclip", "challenger")
    assert (version.tags["pinclip.gate"], version.tags["pinclip.champion"]) == ("passed", "none")
    files = {file.path for file in client.list_artifacts(version.run_id)}
    assert files >= {"report.html", "plots", "model_card.md", "comparison.json", "evaluation", "validation.json"}


def test_the_features_served_are_the_file(place):
    from serving.features import Features

    features = Features.of(place.settings.home / "feast/feature_store.yaml")
    quantized = place.root / "runs/latest/quantized"
    ids = [pin for shard in sorted(quantized.glob("pins/*.parquet")) for pin in pin_ids(shard)]
    vectors, missing = features.pin_vectors(ids, features.newest_space())
    assert not missing.any()
    assert np.array_equal(vectors, read_affine(quantized).vectors(read_codes(quantized)))


def test_every_feature_is_the_same_in_training_and_serving(place):
    from components.feature_store import open_store
    from components.skew import skew

    saves = Catalogue(place.root / "catalogue").read("boards", ["board_id", "pin_id"]).to_pylist()[:100]
    asked = [{"pin_id": save["pin_id"], "user_id": save["board_id"]} for save in saves]
    found = skew(open_store(place.settings), "pin_ranking", asked, datetime.now(UTC))
    assert len(found) == 9
    assert set(found.values()) == {0}


@pytest.fixture
def webhook(monkeypatch):
    """What a real HTTP server on this machine was sent."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PINCLIP_ALERT_WEBHOOK", f"http://127.0.0.1:{server.server_address[1]}/secret-path")
    yield received
    server.shutdown()
    server.server_close()


def test_monitoring_is_quiet_until_the_catalogue_shifts_and_then_calls(place, webhook):
    look = ("monitor", "--profile", "smoke", "--catalogue")
    quiet = place.pinclip(*look, "catalogue", "--out", "monitoring/quiet")
    assert quiet.returncode == 0, quiet.stderr
    assert "Quiet: none of" in quiet.stdout
    assert webhook == []

    source = Catalogue(place.root / "catalogue")
    rows = source.read("pins", source.columns("pins"))
    with CatalogueWriter(place.root / "dark") as writer:
        images = pa.array([darkened(image) for image in rows["image"].to_pylist()], pa.binary())
        writer.write("pins", rows.set_column(rows.column_names.index("image"), "image", images))
    loud = place.pinclip(*look, "dark", "--out", "monitoring/loud")
    assert loud.returncode == 0, loud.stderr
    assert "Over the threshold in" in loud.stdout
    assert "brightness" in (place.root / "monitoring/loud/index.html").read_text()
    assert "The notice went out." in loud.stdout
    assert "pinclip run --catalogue dark --profile smoke" in loud.stdout
    (notice,) = webhook
    assert "brightness" in notice["text"]
    told = [file for file in place.root.glob("monitoring/**/*") if file.is_file()]
    assert not any("secret-path" in file.read_text(errors="replace") for file in told)


def darkened(image: bytes) -> bytes:
    file = BytesIO()
    ImageEnhance.Brightness(Image.open(BytesIO(image)).convert("RGB")).enhance(0.25).save(file, "PNG")
    return file.getvalue()


def pin_ids(shard: Path) -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_table(shard, columns=["pin_id"])["pin_id"].to_pylist()


def test_a_catalogue_of_broken_images_stops_at_validation_and_changes_nothing(place):
    pins = Catalogue(place.root / "catalogue").read("pins", ["pin_id", "image", "title"]).slice(0, 60).to_pydict()
    pins["image"] = [image[:200] if i % 3 == 0 else image for i, image in enumerate(pins["image"])]
    with CatalogueWriter(place.root / "broken") as writer:
        writer.write("pins", pa.table(pins))
    ran = place.pinclip("run", "--catalogue", "broken", "--profile", "smoke", "--out", "runs/second")
    assert ran.returncode == 2
    assert "truncated" in ran.stderr
    assert "Traceback" not in ran.stderr + ran.stdout
    assert (place.root / "runs/second.failed/validation/index.html").is_file()
    assert (place.root / "runs/latest").resolve().name == "first"
    assert not (place.root / "runs/second").exists()
