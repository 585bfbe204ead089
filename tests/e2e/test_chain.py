"""The whole chain as a user runs it: a generated catalogue, one smoke run, what comes out at every end of it."""

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageEnhance

from components.mlflow_client import connect
from model.data.catalogue import Catalogue, CatalogueWriter
from model.embedding.affine import read_affine
from model.embedding.quantization import read_codes

RECALLS = {
    "pintext": {"image_to_text": {"recall@1", "recall@10"}, "text_to_image": {"recall@1", "recall@10"}},
    "related_pins": {"recall@10", "ndcg@10"},
    "search": {"recall@10"},
}
STEPS = {
    *("prepare", "validate", "neighbours", "extract", "train", "train-baseline", "embed", "embed-baseline"),
    *("quantize", "evaluate", "compare", "register", "report", "publish"),
}
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def metrics(project) -> dict:
    return project.json("runs/latest/metrics.json")


def keys(node: dict) -> dict | set:
    return {k: keys(v) for k, v in node.items()} if any(isinstance(v, dict) for v in node.values()) else set(node)


def test_the_metrics_have_the_promised_keys(metrics):
    for scope in (metrics, metrics["fresh"], metrics["baseline_clip"], metrics["baseline_clip"]["fresh"]):
        assert {name: keys(scope[name]) for name in RECALLS} == RECALLS
    assert set(metrics["timing_s"]) == STEPS
    assert metrics["quantization"]["bytes_per_pin"] == 64
    assert 350 < metrics["catalogue"]["pins"] <= 400  # a few gave no consent
    assert metrics["model"] == {"version": 1, "parameters": metrics["model"]["parameters"]}


def test_the_report_shows_pictures_and_fetches_nothing(project):
    page = (project.root / "runs/latest/report.html").read_text()
    assert page.count("data:image/") > 20
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_challenger_embeds_images_and_words(project):
    import mlflow

    mlflow.set_tracking_uri(project.settings.mlflow_uri)
    mlflow.set_registry_uri(project.settings.mlflow_uri)  # tests before this one have named theirs in this process
    model = mlflow.pyfunc.load_model("models:/pinclip@challenger")
    drawn = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(drawn, "PNG")
    rows = pd.DataFrame([{"image": drawn.getvalue()}, {"title": "a teal square"}, {"query": "teal"}])
    vectors = np.stack(model.predict(rows)["vector"].tolist())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)


def test_a_reviewer_finds_verdict_report_card_and_plots_in_mlflow(project):
    client = connect(project.settings)
    version = client.get_model_version_by_alias("pinclip", "challenger")
    assert (version.tags["pinclip.gate"], version.tags["pinclip.champion"]) == ("passed", "none")
    files = {file.path for file in client.list_artifacts(version.run_id)}
    assert files >= {"report.html", "plots", "model_card.md", "comparison.json", "evaluation", "validation.json"}


def test_the_features_served_are_the_file(project):
    from serving.features import Features

    features = Features.of(project.settings.home / "feast/feature_store.yaml")
    quantized = project.root / "runs/latest/quantized"
    ids = [pin for shard in sorted(quantized.glob("pins/*.parquet")) for pin in pin_ids(shard)]
    vectors, missing = features.pin_vectors(ids, features.serving_space())
    assert not missing.any()
    assert np.array_equal(vectors, read_affine(quantized).vectors(read_codes(quantized)))


def test_predict_gives_the_vectors_that_are_published(project):
    """Rows as pyarrow reads the user's own catalogue, lists among them; codes of 8 bits lose a little of some."""
    import mlflow

    from serving.features import Features

    mlflow.set_tracking_uri(project.settings.mlflow_uri)
    mlflow.set_registry_uri(project.settings.mlflow_uri)
    model = mlflow.pyfunc.load_model("models:/pinclip/1")
    source = Catalogue(project.root / "catalogues/generated")
    rows = source.read("pins", source.columns("pins")).to_pandas().set_index("pin_id", drop=False)
    features = Features.of(project.settings.home / "feast/feature_store.yaml")
    published, missing = features.pin_vectors(list(rows.index), features.serving_space())
    answer = model.predict(rows)
    assert list(answer.index) == list(rows.index)
    predicted = np.stack(answer["vector"].tolist())
    cosines = (predicted * published).sum(axis=1)[~missing] / np.linalg.norm(published[~missing], axis=1)
    assert len(cosines) > 350
    assert (cosines >= 0.999).mean() > 0.99
    assert cosines.min() > 0.998
    for kind in (bytearray, memoryview):
        same = model.predict(rows.head(20).assign(image=[kind(image) for image in rows["image"].head(20)]))
        assert same["vector"].tolist() == answer["vector"].head(20).tolist()


def test_a_folder_of_pictures_is_embedded_as_the_registered_model_does_it(project, tmp_path):
    import mlflow

    rows = Catalogue(project.root / "catalogues/generated").read("pins", ["pin_id", "image"]).slice(0, 40).to_pylist()
    for row in rows:
        (tmp_path / f"{row['pin_id']}.jpg").write_bytes(row["image"])
    said = project.run("pinclip", "embed", str(tmp_path), "--out", str(tmp_path / "pictures.parquet"))
    assert "40 pictures embedded by version 1: " in said
    table = pq.read_table(tmp_path / "pictures.parquet").to_pydict()
    mlflow.set_tracking_uri(project.settings.mlflow_uri)
    mlflow.set_registry_uri(project.settings.mlflow_uri)
    model = mlflow.pyfunc.load_model("models:/pinclip/1")
    answer = model.predict([{"image": (tmp_path / file).read_bytes()} for file in table["file"]])
    cosines = (np.array(table["vector"]) * np.stack(answer["vector"].tolist())).sum(axis=1)
    assert cosines.min() > 0.999

    said = project.run("pinclip", "tag", str(tmp_path), "--out", str(tmp_path / "tags.parquet"))
    assert "40 pictures tagged by version 1: " in said
    for row in pq.read_table(tmp_path / "tags.parquet").to_pylist():
        assert bool(row["tags"]) == (row["why"] is None), row


def test_every_feature_is_the_same_in_training_and_serving(project):
    from components.spaces.feature_store import open_store
    from components.spaces.skew import skew

    saves = Catalogue(project.root / "catalogues/generated").read("boards", ["board_id", "pin_id"]).to_pylist()[:100]
    asked = [{"pin_id": save["pin_id"], "user_id": save["board_id"]} for save in saves]
    found = skew(open_store(project.settings), "pin_ranking", asked, datetime.now(UTC))
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


def test_monitoring_is_quiet_until_the_catalogue_shifts_and_then_calls(project, webhook, tmp_path):
    look = ("pinclip", "monitor", "--profile", "smoke", "--catalogue")
    told = project.run(*look, "catalogues/generated", "--out", str(tmp_path / "quiet"))
    assert "Quiet: none of" in told
    assert webhook == []

    source = Catalogue(project.root / "catalogues/generated")
    rows = source.read("pins", source.columns("pins"))
    with CatalogueWriter(tmp_path / "dark") as writer:
        images = pa.array([darkened(image) for image in rows["image"].to_pylist()], pa.binary())
        writer.write("pins", rows.set_column(rows.column_names.index("image"), "image", images))
    told = project.run(*look, str(tmp_path / "dark"), "--out", str(tmp_path / "loud"))
    assert "Over the threshold in" in told
    assert "brightness" in (tmp_path / "loud/index.html").read_text()
    assert "The notice went out." in told
    assert f"pinclip run --catalogue {tmp_path / 'dark'} --profile smoke" in told
    (notice,) = webhook
    assert "brightness" in notice["text"]
    files = [file for name in ("quiet", "loud") for file in (tmp_path / name).rglob("*") if file.is_file()]
    assert files and not any("secret-path" in file.read_text(errors="replace") for file in files)


def darkened(image: bytes) -> bytes:
    file = BytesIO()
    ImageEnhance.Brightness(Image.open(BytesIO(image)).convert("RGB")).enhance(0.25).save(file, "PNG")
    return file.getvalue()


def pin_ids(shard: Path) -> list[str]:
    import pyarrow.parquet as pq

    return pq.read_table(shard, columns=["pin_id"])["pin_id"].to_pylist()


def test_a_catalogue_of_broken_images_stops_at_validation_and_changes_nothing(project, tmp_path):
    rows = Catalogue(project.root / "catalogues/generated").read("pins", ["pin_id", "image", "title"])
    pins = rows.slice(0, 60).to_pydict()
    pins["image"] = [image[:200] if i % 3 == 0 else image for i, image in enumerate(pins["image"])]
    with CatalogueWriter(tmp_path / "broken") as writer:
        writer.write("pins", pa.table(pins))
    asked = ("--catalogue", str(tmp_path / "broken"), "--profile", "smoke", "--out", "runs/second")
    ran = project.call("pinclip", "run", *asked)
    assert ran.returncode == 2
    assert "truncated" in ran.stderr
    assert "Traceback" not in ran.stderr + ran.stdout
    assert (project.root / "runs/second.failed/validation/index.html").is_file()
    assert (project.root / "runs/latest").resolve().name == "dvc"
    assert not (project.root / "runs/second").exists()
