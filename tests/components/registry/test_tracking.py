"""The MLflow run of a pipeline run, in a real MLflow on SQLite: joined, repeated, readable."""

import json

import pytest

from components.configuration import load
from components.mlflow_client import connect
from components.registry.tracking import log_evidence, log_figures, log_report, tracked
from components.settings import Settings
from model.errors import StoreError

METRICS = {"fresh": {"search": {"recall@10": 0.25}}, "model": {"parameters": 7}, "catalogue": {"digest": "ab"}}
LINEAGE = {"catalogue": "catalogue", "catalogue_digest": "c" * 64, "git_rev": "abc", "dvc_md5": ""}
STEPS = 1500  # more than one batch


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "metrics.json").write_text(json.dumps(METRICS))
    (folder / "validation.json").write_text('{"success": true}')
    lines = [json.dumps({"step": s, "epoch": 0, "loss": 2.0 - s / STEPS}) for s in range(STEPS)]
    (folder / "curves.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def logged(settings, run_folder):
    """The same run tracked twice, as after a kill; (client, first id, second id)."""
    ids = []
    config = load("smoke", ["train.epochs=3"])
    for _ in range(2):
        with tracked({"pinclip.run_id": "r1"}, settings) as (client, run):
            log_figures(client, run, config=config, metrics=METRICS, curves=run_folder / "curves.jsonl")
            files = {"evaluation": run_folder / "evaluation", "validation": run_folder / "validation.json"}
            log_evidence(client, run, config=config, lineage=LINEAGE, **files)
        ids.append(run)
    return client, *ids


def test_a_rerun_joins_its_run(logged):
    client, first, second = logged
    assert first == second
    assert client.get_run(first).info.status == "FINISHED"
    assert client.get_run(first).info.run_name == "r1"


def test_parameters_are_named_as_in_set(logged):
    client, run, _ = logged
    params = client.get_run(run).data.params
    assert params["train.epochs"] == "3"
    assert params["profile"] == "smoke"


def test_metrics_have_names_that_mlflow_allows(logged):
    client, run, _ = logged
    metrics = client.get_run(run).data.metrics
    assert metrics["fresh/search/recall_at_10"] == 0.25
    assert metrics["model/parameters"] == 7
    assert "catalogue/digest" not in metrics


def test_curves_hold_every_step_once(logged):
    client, run, _ = logged
    history = client.get_metric_history(run, "train/loss")
    assert sorted(point.step for point in history) == list(range(STEPS))
    assert {point.step: point.value for point in history}[STEPS - 1] == pytest.approx(2.0 - (STEPS - 1) / STEPS)


def test_dataset_lineage_and_files_are_there(logged):
    client, run, _ = logged
    found = client.get_run(run)
    (data,) = found.inputs.dataset_inputs
    assert data.dataset.digest == "c" * 32
    assert {tag.key: tag.value for tag in data.tags}["mlflow.data.context"] == "training"
    assert found.data.tags["pinclip.catalogue_digest"] == "c" * 64
    assert {file.path for file in client.list_artifacts(run)} == {
        "config.json",
        "evaluation",
        "lineage.json",
        "validation.json",
    }


def test_the_report_and_its_plots_come_to_the_run(settings, logged, tmp_path):
    client, run, _ = logged
    (tmp_path / "plots").mkdir()
    for name in ("report.html", "plots/loss.svg"):
        (tmp_path / name).write_text("<p>loss</p>")
    for _ in range(2):  # the rerun of a killed run
        log_report(run, tmp_path, settings)
    assert {"report.html", "plots", "lineage.json"} <= {file.path for file in client.list_artifacts(run)}
    assert [file.path for file in client.list_artifacts(run, "plots")] == ["plots/loss.svg"]
    assert client.get_run(run).info.status == "FINISHED"


def test_joins_the_run_that_the_orchestrator_opened(settings, monkeypatch, logged):
    client = logged[0]
    experiment = client.get_experiment_by_name("pinclip").experiment_id
    opened = client.create_run(experiment).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    with tracked({"pinclip.run_id": "r2"}, settings) as (_, run):
        pass
    assert run == opened
    assert client.get_run(run).data.tags["pinclip.run_id"] == "r2"


def test_a_failure_is_written_on_the_run(settings, logged):
    with pytest.raises(ZeroDivisionError), tracked({"pinclip.run_id": "r3"}, settings) as (_, run):
        _ = 1 / 0
    assert logged[0].get_run(run).info.status == "FAILED"


def test_what_mlflow_refuses_is_one_sentence(settings, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(StoreError, match=r"MLflow refused .* its page lists what there is"), tracked({}, settings):
        pass


def test_a_damaged_database_is_one_sentence(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match=r"MLflow's database cannot be read .*file is not a database"):
        connect(Settings(home=tmp_path))


def test_mlflows_own_variables_of_another_place_change_nothing(settings, monkeypatch, logged):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "4711")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of somebody else")
    with tracked({"pinclip.run_id": "r4"}, settings) as (client, run):
        experiment = client.get_run(run).info.experiment_id
    assert experiment == logged[0].get_experiment_by_name("pinclip").experiment_id
