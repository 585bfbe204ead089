"""A tiny model of random weights through the real registry: versions, verdicts, the alias, and loading anywhere."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from PIL import Image

from components.configuration import load
from components.mlflow_client import connect
from components.registry.versions import CHAMPION, Registration, announce, register, version_of
from components.settings import Settings
from model.embedding.embedder import Embedder
from model.errors import ExportError, ModelError, StoreError
from model.network.checkpoint import save_model
from model.network.encoder import PinEncoder
from model.network.text import train_tokenizer
from serving.encoder.export import REGISTERED, exported
from tests.e2e.on_cluster import promotion, schedules

CONFIG = load("smoke", ["gate.min_fresh_related=0.2"])
LINEAGE = {"catalogue": "catalogue", "catalogue_digest": "c" * 64, "git_rev": "abc", "dvc_md5": "d.dir"}
CARD = "# A model\n" + "".join(f"\n## Section {i}\n\n{'x' * 990}\n" for i in range(9))  # too long for a description
GOOD, BAD = 0.5, 0.1  # fresh Related Pins recall@10, above and below the floor


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("work") / "model"
    save_model(folder, PinEncoder(CONFIG), train_tokenizer(["a red chair"] * 3, CONFIG.text))
    exported(folder, folder / REGISTERED)  # here, so that no registration of these tests does
    (folder / "curves.jsonl").write_text('{"step": 0, "loss": 1.0}\n')
    return folder


@pytest.fixture(scope="module")
def registering(tmp_path_factory, model_folder):
    """Call with a run id and its recall: the registration, in one home that all tests of this file share."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))

    def call(run_id, recall=GOOD, config=CONFIG, folder=model_folder, champion=None, lineage=LINEAGE):
        evaluation = tmp_path_factory.mktemp("evaluation")
        metrics = {
            "fresh": {"related_pins": {"recall@10": recall}},
            "baseline_clip": {"fresh": {"related_pins": {"recall@10": 0.1}}},
            "quantization": {"retention": {"search": 1.0}},
            "catalogue": {"digest": "e" * 64},
        }
        cost = {name: {"ours": 5.0, "champion": 5.0} for name in ("latency_ms", "weights_bytes", "vector_bytes")}
        seen = {"share": 0, "exactly": True}
        compared = {"champion": champion, "unread": None, "seen": seen, "tasks": {}, "compatible": None, "cost": cost}
        (evaluation / "comparison.json").write_text(json.dumps(compared))
        (evaluation / "metrics.json").write_text(json.dumps(metrics))
        (evaluation / "validation.json").write_text("{}")
        files = {
            "evaluation": evaluation,
            "comparison": evaluation / "comparison.json",
            "validation": evaluation / "validation.json",
            "model_folder": folder,
            "card": CARD,
        }
        return register(run_id=run_id, config=config, lineage=lineage, settings=settings, **files)

    call.settings = settings
    return call


@pytest.fixture
def client(registering):
    return connect(registering.settings)


def test_a_version_carries_verdict_and_lineage(registering, client, model_folder):
    registration = registering("good")
    version = client.get_model_version("pinclip", str(registration.version))
    assert registration.verdict.passed
    assert version.tags["pinclip.gate"] == "passed"
    assert "0.500; the floor is 0.200" in version.tags["pinclip.gate.reasons"]
    assert version.tags["pinclip.space"] == registration.space == f"v{registration.version}"
    assert version.tags["pinclip.catalogue_digest"] == "c" * 64
    assert version.tags["pinclip.dvc_md5"] == "d.dir"
    assert len(version.tags["pinclip.weights_sha256"]) == 64
    assert version.run_id == registration.mlflow_run_id


def test_the_verdict_stands_on_version_and_run(registering, client, tmp_path):
    registration = registering("beside", champion={"version": 4})
    version = client.get_model_version("pinclip", str(registration.version))
    run = client.get_run(registration.mlflow_run_id)
    for tags in (version.tags, run.data.tags):
        assert tags["pinclip.champion"] == "4"
        assert tags["pinclip.gate"] == "passed"
        assert tags["pinclip.gate.reasons"].splitlines() == list(registration.verdict.reasons)
    assert "Compared with the champion, version 4" in tags["pinclip.gate.reasons"]
    assert run.data.metrics["comparison/cost/latency_ms/ours"] == 5.0
    file = client.download_artifacts(registration.mlflow_run_id, "comparison.json", str(tmp_path))
    assert json.loads(Path(file).read_text())["champion"] == {"version": 4}
    alone = registering("alone")
    assert client.get_model_version("pinclip", str(alone.version)).tags["pinclip.champion"] == "none"


def test_a_catalogue_that_only_the_cluster_sees_still_has_its_digest(registering, client):
    registration = registering("unread", lineage=LINEAGE | {"catalogue_digest": "", "schedule": "nightly-2026"})
    tags = client.get_model_version("pinclip", str(registration.version)).tags
    assert (tags["pinclip.catalogue_digest"], tags["pinclip.schedule"]) == ("e" * 64, "nightly-2026")
    assert client.get_run(registration.mlflow_run_id).inputs.dataset_inputs[0].dataset.digest == "e" * 32


def test_the_card_is_an_artifact_and_describes_the_version(registering, client, tmp_path):
    registration = registering("good")
    described = client.get_model_version("pinclip", str(registration.version)).description
    assert described.startswith("# A model\n\n## Section 0\n")
    assert len(described) <= 5_000
    assert described.endswith("x\n\n*The whole card is the file model_card.md of this version's run.*\n")
    file = client.download_artifacts(registration.mlflow_run_id, "model_card.md", str(tmp_path))
    assert Path(file).read_text() == CARD


def test_registering_again_gives_the_same_version(registering, client):
    first, again = registering("twice"), registering("twice")
    assert first == again
    assert len(client.search_model_versions("name = 'pinclip' AND tags.`pinclip.run_id` = 'twice'")) == 1


def test_a_killed_attempt_is_finished_without_a_second_model(registering, client):
    registration = registering("killed")
    client.delete_model_version("pinclip", str(registration.version))  # as if the kill came after the model was logged
    again = registering("killed")
    assert again.version == registration.version + 1
    assert again.mlflow_run_id == registration.mlflow_run_id
    experiment = client.get_experiment_by_name("pinclip").experiment_id
    models = client.search_logged_models([experiment], f"source_run_id = '{again.mlflow_run_id}'")
    assert len(models) == 1


def test_another_configuration_under_the_same_run_id_is_another_version(registering):
    assert registering("same").version != registering("same", config=load("smoke", ["seed=1"])).version


def test_only_announcing_moves_the_alias_and_only_past_the_gate(registering, client):
    good = registering("announced")
    assert client.get_registered_model("pinclip").aliases == {}
    assert announce(good.version, registering.settings)
    assert client.get_model_version_by_alias("pinclip", "challenger").version == good.version
    bad = registering("refused", recall=BAD)
    assert bad.verdict.reasons[0] == "Related Pins recall@10 on fresh Pins is 0.100, below the floor of 0.200."
    assert not announce(bad.version, registering.settings)
    assert client.get_model_version_by_alias("pinclip", "challenger").version == good.version


def test_who_holds_an_alias(registering, client, tmp_path):
    assert version_of(CHAMPION, Settings(home=tmp_path / "empty")) is None  # nothing registered yet
    version = registering("champion").version
    assert version_of(CHAMPION, registering.settings) is None
    client.set_registered_model_alias("pinclip", CHAMPION, str(version))
    assert version_of(CHAMPION, registering.settings) == version
    client.delete_registered_model_alias("pinclip", CHAMPION)


def test_an_unknown_version_is_one_sentence(registering):
    with pytest.raises(StoreError, match="Model Version"):
        announce(999, registering.settings)


def test_a_folder_without_weights_is_one_sentence(registering, tmp_path):
    with pytest.raises(ModelError, match=r"has no model\.safetensors"):
        registering("empty", folder=tmp_path)


def test_a_registration_survives_its_file(registering, tmp_path):
    registration = registering("good")
    registration.write(tmp_path / "version.json")
    assert Registration.read(tmp_path / "version.json") == registration


def assert_same(answer, expected):
    vectors = np.stack(answer["vector"])
    assert vectors.shape == expected.shape
    assert (vectors * expected).sum(axis=1).min() > 0.9999


def test_the_loaded_version_encodes_like_the_model_folder(registering, model_folder):
    import mlflow

    model = mlflow.pyfunc.load_model(registering("good").uri)
    rows = [
        {"image": jpeg(), "title": "a red chair"},
        {"query": "chairs"},
        {"caption": "only a text"},
        {"image": jpeg()},
    ]
    embedder = Embedder(model_folder)
    texts = [{"title": "a red chair"}, {"caption": "only a text"}, {}]
    expected = np.insert(embedder.pins([jpeg(), None, jpeg()], texts), 1, embedder.queries(["chairs"])[0], axis=0)
    assert_same(model.predict(rows), expected)
    assert_same(model.predict(pd.DataFrame(rows)), expected)
    with pytest.raises(ValueError, match="Row 1 is empty"):
        model.predict([{"query": "chairs"}, {"query": ""}])


@pytest.fixture(scope="module")
def loaded(registering):
    import mlflow

    return mlflow.pyfunc.load_model(registering("good").uri)


ROWS = {
    "image": [None, bytearray(b"JPEG"), None, memoryview(b"JPEG")],
    "title": ["a red chair", None, " a\nred chair", float("nan")],
    "annotations": [["chair", None], None, np.array(["chair"], dtype=object), ()],
    "price": [1, 2, 3, 4],
}


def test_rows_come_back_under_the_callers_index(loaded, model_folder):
    table = pd.DataFrame(ROWS, index=[7, 11, 13, 2])
    table["image"] = [value if value is None else type(value)(jpeg()) for value in table["image"]]
    answer = loaded.predict(table)
    assert list(answer.index) == [7, 11, 13, 2]
    texts = [{"title": "a red chair", "annotations": ["chair"]}, {}] * 2
    expected = Embedder(model_folder).pins([None, jpeg(), None, jpeg()], texts)
    assert_same(answer, expected)


def test_a_catalogue_as_pyarrow_pandas_and_rows_read_it(loaded, model_folder):
    table = pa.table(
        {
            "pin_id": ["a", "b", "c"],
            "image": [jpeg()] * 3,
            "title": ["a red chair", None, None],
            "caption": pa.nulls(3, pa.string()),
            "annotations": [["chair", "red"], None, []],
        }
    )
    expected = Embedder(model_folder).pins([jpeg()] * 3, table.to_pylist())
    without_captions = table.to_pandas().assign(caption=np.nan)  # a float column for pandas
    arrow_types = table.to_pandas(types_mapper=pd.ArrowDtype).assign(image=[jpeg()] * 3)  # MLflow wants plain bytes
    for rows in (table.to_pandas(), arrow_types, table.to_pylist(), without_captions):
        assert_same(loaded.predict(rows), expected)


def test_many_queries_in_the_forms_that_mlflow_takes(loaded, model_folder):
    expected = Embedder(model_folder).queries(["a", "b"])
    for asked in ({"query": ["a", "b"]}, [{"query": "a"}, {"query": "b"}], pd.Series(["a", "b"], name="query")):
        assert_same(loaded.predict(asked), expected)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (pd.DataFrame({"text": ["red bicycle"]}), "columns is there: image, title, description, caption, annotations"),
        (["a", "b"], "columns is there: image"),
        (pd.DataFrame(index=[1, 2]), "columns is there: image"),
        (pd.DataFrame({"query": ["a", ""]}), "Row 1 is empty"),
        (pd.DataFrame({"query": ["a", "nan"]}), "Row 1 is empty"),
        (pd.DataFrame({"title": ["a", 7]}), "Row 1: 'title' is int; it takes a text."),
        (pd.DataFrame({"title": [["a", "b"]]}), "Row 0: 'title' is list; it takes a text."),
        (pd.DataFrame({"image": ["a.png"]}), "Row 0: 'image' is str; it takes the bytes of an image file."),
        (pd.DataFrame({"image": [None, b"GIF89a"], "title": "x"}), "Row 1: the 'image' cannot be used: truncated."),
        (pd.DataFrame({"query": ["a"], "title": ["b"]}), "Row 0 has a query and title; give a query alone"),
    ],
)
def test_what_cannot_be_encoded_is_one_sentence(loaded, asked, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        loaded.predict(asked)
    assert "\n" not in str(caught.value)


def test_no_rows_give_no_rows(loaded):
    assert list(loaded.predict(pd.DataFrame({"title": []})).columns) == ["vector"]


@pytest.fixture(scope="module")
def files(registering, tmp_path_factory):
    """The version's folder, as a consumer downloads it."""
    import mlflow

    out = tmp_path_factory.mktemp("downloaded")
    return Path(mlflow.artifacts.download_artifacts(registering("good").uri, dst_path=str(out)))


def test_the_version_holds_no_pickle_and_asks_for_little(files):
    assert not [path for path in files.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".bin")]
    assert [path.relative_to(files).as_posix() for path in files.rglob("*.py")] == ["pin_model.py"]
    asked = [line.split("==")[0] for line in (files / "requirements.txt").read_text().splitlines()]
    assert asked == ["mlflow-skinny", "numpy", "onnxruntime", "pandas", "pillow", "tokenizers"]
    assert "torch" not in (files / "conda.yaml").read_text()
    assert "+" not in (files / "requirements.txt").read_text()  # a local version exists on one machine only


LOADS = """
import sys

OTHERS = "torch ray transformers safetensors scipy pyarrow onnx kfp feast model serving components pinclip_path".split()


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in OTHERS:
            raise ImportError(f"{name} is not of this environment")


sys.meta_path.insert(0, Refuse())
import mlflow.pyfunc

first, second = (mlflow.pyfunc.load_model(sys.argv[1]) for _ in range(2))
rows = [{"query": "x"}, {"image": open(sys.argv[2], "rb").read(), "title": "a red chair"}]
vectors = first.predict(rows)["vector"].tolist()
assert vectors == second.predict(rows)["vector"].tolist()
assert not {*OTHERS} & {name.split(".")[0] for name in sys.modules}
print(vectors)
"""


def test_a_version_loads_beside_anybodys_modules_and_without_ours(files, model_folder, tmp_path):
    for name in ("model", "serving", "components", "pin_model"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the module of somebody else')\n")
    (tmp_path / "loads.py").write_text(LOADS)
    (tmp_path / "chair.jpg").write_bytes(jpeg())
    command = [sys.executable, "loads.py", str(files), "chair.jpg"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["MLFLOW_DISABLE_TELEMETRY"] = "true"
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    embedder = Embedder(model_folder)
    expected = [embedder.queries(["x"])[0], embedder.pins([jpeg()], [{"title": "a red chair"}])[0]]
    assert (np.array(json.loads(ran.stdout)) * expected).sum(axis=1).min() > 0.9999


def test_a_network_that_onnx_cannot_express_is_registered_without_predict(
    registering, model_folder, tmp_path, monkeypatch, caplog
):
    import mlflow

    def refuse(folder, out):
        raise ExportError("The network cannot be exported as ONNX (an operator); serve this model on a GPU.")

    monkeypatch.setattr("serving.encoder.export.exported", refuse)
    folder = shutil.copytree(model_folder, tmp_path / "model", ignore=shutil.ignore_patterns(REGISTERED))
    registration = registering("no graphs", folder=folder)
    assert "(an operator); serve this model on a GPU. It is registered without `predict`." in caplog.text
    with pytest.raises(ValueError, match="network could not be exported as ONNX, so it cannot predict here"):
        mlflow.pyfunc.load_model(registration.uri)


def test_a_version_answers_as_mlflow_models_serve_does(loaded, model_folder):
    from mlflow.pyfunc.scoring_server import init
    from starlette.testclient import TestClient

    client = TestClient(init(loaded))
    image, expected = base64.b64encode(jpeg()).decode(), Embedder(model_folder)
    rows = [{"image": image, "title": "a red chair"}, {"query": "chairs"}]
    answer = client.post("/invocations", json={"dataframe_records": rows})
    assert answer.status_code == 200, answer.text
    pins = expected.pins([jpeg()], [{"title": "a red chair"}])
    assert_same(pd.DataFrame(answer.json()["predictions"]), np.concatenate([pins, expected.queries(["chairs"])]))
    answer = client.post("/invocations", json={"inputs": {"query": ["a", "b"]}})
    assert_same(pd.DataFrame(answer.json()["predictions"]), expected.queries(["a", "b"]))
    refused = client.post("/invocations", json={"dataframe_records": [{"query": "a"}, {"image": "chair.jpg"}]})
    assert refused.status_code == 400
    assert "Row 1: 'image' is str; it takes the bytes of an image file." in refused.json()["stack_trace"]


def test_make_e2e_cluster_asks_the_mlflow_of_the_steps(registering, client, tmp_path, monkeypatch, capsys):
    """By the programs of its Jobs, with the variables of a step: PINCLIP_MLFLOW_URI, and no MLFLOW_TRACKING_URI."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PINCLIP_HOME", str(tmp_path))
    monkeypatch.setenv("PINCLIP_MLFLOW_URI", registering.settings.mlflow_uri)

    def told(program, *arguments):
        monkeypatch.setattr(sys, "argv", ["-c", *arguments])
        exec(program, {})
        return capsys.readouterr().out.splitlines()

    version = registering("asked").version
    told(promotion.SET_CHAMPION, str(version))
    assert int(client.get_model_version_by_alias("pinclip", CHAMPION).version) == version
    lines = told(schedules.VERSIONS)
    assert f'ALIAS {{"alias": "champion", "version": {version}}}' in lines
    found = [json.loads(line.removeprefix("VERSION ")) for line in lines if line.startswith("VERSION")]
    assert [one["pinclip.gate"] for one in found if one["version"] == version] == ["passed"]
    monkeypatch.setenv("PINCLIP_MODEL_NAME", "not-registered-yet")
    assert told(schedules.VERSIONS) == []


def jpeg():
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (200, 30, 30)).save(buffer, "JPEG")
    return buffer.getvalue()
