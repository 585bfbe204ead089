"""The champion out of a real MLflow: found by its alias, compared, and named where it cannot be read."""

import json
import shutil
from pathlib import Path

import pytest
from served_pins import tiny_model
from tiny import tiny_catalogue, walked_catalogue

from components.configuration import load
from components.gate import GateConfig, gate_verdict
from components.mlflow_client import connect
from components.registry.champion import compare_with_champion
from components.registry.versions import CHAMPION, log_model
from components.settings import Settings
from model.embedding import embedder

CONFIG = load("smoke", ["vision.image_size=32"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """What the steps before leave: prepared, neighbours, model, vectors."""
    root = tmp_path_factory.mktemp("run")
    walked_catalogue(root, CONFIG, tiny_catalogue(root, pins=160, boards=20, seed=1))
    embedder.embed(root / "prepared", tiny_model(root / "model"), root / "vectors")
    return {name: root / name for name in ("prepared", "neighbours", "model", "vectors")}


@pytest.fixture(scope="module")
def settings(tmp_path_factory, folders):
    """A registry with one version: the run's own model. No alias yet."""
    import mlflow

    settings = Settings(home=tmp_path_factory.mktemp("home"))
    client = connect(settings)
    artifacts = (settings.home / "artifacts").as_uri()
    with mlflow.start_run(experiment_id=client.create_experiment("x", artifact_location=artifacts)):
        model = log_model(folders["model"], load("smoke"), {"pinclip.weights_sha256": "w"})
    client.create_registered_model("pinclip")
    client.create_model_version("pinclip", f"models:/{model}", model_id=model)
    return settings


@pytest.fixture
def champion(settings):
    """MLflow's client, while version 1 holds the alias."""
    client = connect(settings)
    client.set_registered_model_alias("pinclip", CHAMPION, "1")
    yield client
    client.delete_registered_model_alias("pinclip", CHAMPION)


@pytest.fixture
def compared(settings, folders, tmp_path):
    """Call: the comparison of the run's model with the champion. It leaves nothing behind."""

    def call():
        found = compare_with_champion(**folders, work=tmp_path / "work", config=CONFIG, settings=settings)
        assert [*tmp_path.rglob("*")] in ([], [tmp_path / "work"])
        return found

    return call


def test_without_a_champion_nothing_is_compared(settings, compared, tmp_path):
    found = compared()
    assert (found["champion"], found["tasks"]) == (None, {})
    assert found["cost"]["weights_bytes"]["ours"] > 0
    assert gate_verdict({}, found, GateConfig(min_retention=0)).passed


def test_the_holder_of_the_alias_embeds_the_same_fresh_pins(champion, compared):
    found = compared()
    assert (found["champion"], found["unread"]) == ({"version": 1}, None)
    assert {"related_pins", "search"} <= found["tasks"].keys()
    for task in found["tasks"].values():  # it is the same model
        assert task["low"] <= 0 <= task["high"]
        assert task["champion"] == pytest.approx(task["ours"], abs=0.02)
    assert found["cost"]["weights_bytes"]["ours"] == found["cost"]["weights_bytes"]["champion"]
    assert gate_verdict({}, found, GateConfig(min_retention=0, max_latency_growth=100)).passed


def weights(settings) -> Path:
    (path,) = settings.home.rglob("model.safetensors")
    return path


def test_a_corrupt_champion_costs_no_run_and_refuses_in_one_sentence(champion, settings, compared):
    whole = weights(settings).read_bytes()
    weights(settings).write_bytes(whole[:1000])
    found = compared()
    weights(settings).write_bytes(whole)
    verdict = gate_verdict({}, found, GateConfig(min_retention=0))
    assert not verdict.passed
    reason = verdict.reasons[0]
    assert reason.startswith("Not compared with the champion, version 1: champion/")
    assert "model.safetensors is corrupt" in reason
    assert reason.endswith("; restore its files in MLflow, or take the alias off it, and run again.")


def test_a_champion_whose_files_are_gone_is_said(champion, settings, compared, tmp_path):
    folder = settings.home / "artifacts"
    shutil.move(folder, settings.home / "elsewhere")
    found = compared()
    shutil.move(settings.home / "elsewhere", folder)
    assert found["tasks"] == {}
    assert found["unread"].startswith("The files of models:/pinclip/1 cannot be read from MLflow (")
    assert "\n" not in found["unread"]


@pytest.fixture
def compatible(settings, folders, tmp_path):
    """Call: the comparison of a copy of the model that was trained to be comparable with the version."""

    def call(version: str):
        copy = tmp_path / f"model-{version}"
        shutil.copytree(folders["model"], copy)
        config = json.loads((copy / "config.json").read_text())
        config["train"]["compatible_with"] = version
        (copy / "config.json").write_text(json.dumps(config))
        asked = folders | {"model": copy, "work": tmp_path / "work"}
        return compare_with_champion(**asked, config=CONFIG, settings=settings)

    return call


def test_queries_of_the_new_version_ask_vectors_of_the_former_one(compatible):
    """It is the same model: its queries find what they found. Nobody is the champion."""
    found = compatible("1")
    assert found["champion"] is None
    assert (found["compatible"]["version"], found["compatible"]["unread"]) == (1, None)
    assert found["compatible"]["tasks"].keys() == {"related_pins", "search"}
    for task in found["compatible"]["tasks"].values():
        assert task["ours"] == pytest.approx(task["former"], abs=0.02)


def test_a_champion_that_is_the_former_version_too_is_embedded_once(champion, compatible, monkeypatch):
    embedded = []

    def counted(*told, **named):
        embedded.append(told)
        return embedder.embed(*told, **named)

    monkeypatch.setattr("model.evaluation.comparison.embed", counted)
    found = compatible("1")
    assert len(embedded) == 1
    assert found["tasks"]["search"]["champion"] == pytest.approx(found["compatible"]["tasks"]["search"]["former"])


def test_a_former_version_that_is_gone_refuses_the_new_one(compatible):
    found = compatible("7")
    assert found["compatible"]["tasks"] == {}
    assert found["compatible"]["unread"].endswith("or take train.compatible_with out, and run again.")
    assert not gate_verdict({}, found, GateConfig(min_retention=0)).passed
