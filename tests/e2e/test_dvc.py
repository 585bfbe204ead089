"""Real `dvc exp run` and `dvc repro` over the real pipeline, in a repository of its own with a tiny catalogue."""

import json

import pytest
import yaml

pytestmark = pytest.mark.timeout(900)


def test_what_has_not_changed_is_skipped(project):
    assert "Data and pipelines are up to date" in project.run("dvc", "repro")
    assert project.run("git", "status", "--porcelain") == ""


def test_the_catalogues_md5_is_lineage_of_the_run_the_model_and_the_features(project):
    from mlflow import MlflowClient

    from components.spaces.feature_store import open_store

    md5 = yaml.safe_load((project.root / "dvc.lock").read_text())["stages"]["catalogue"]["outs"][0]["md5"]
    version = project.json("runs/dvc/version.json")
    run = MlflowClient(tracking_uri=project.settings.mlflow_uri).get_run(version["mlflow_run_id"])
    view = open_store(project.settings).get_feature_view(f"pin_embedding_v{version['version']}")
    assert project.json("runs/dvc/lineage.json")["dvc_md5"] == md5
    assert run.data.tags["pinclip.dvc_md5"] == md5
    assert view.tags["dvc_md5"] == md5


def test_metrics_and_plots_are_read_by_dvc(project):
    shown = json.loads(project.run("dvc", "metrics", "show", "--json"))
    measured = shown[""]["data"]["runs/dvc/metrics.json"]["data"]
    assert measured["related_pins"] == project.json("runs/dvc/metrics.json")["related_pins"]
    project.run("dvc", "plots", "show", "--out", "dvc_plots")
    page = (project.root / "dvc_plots/index.html").read_text()
    assert "baseline_clip.csv" in page
    assert "text_fused" in page


def test_an_experiment_with_another_parameter_is_run_and_compared(project):
    assert project.run("git", "show", "HEAD~1:dvc.lock") != (project.root / "dvc.lock").read_text()
    assert yaml.safe_load((project.root / "params.yaml").read_text())["train"]["epochs"] == 1
    assert project.json("runs/dvc/config.json")["train"]["epochs"] == 1
    assert json.loads(project.run("dvc", "metrics", "diff", "--json", "HEAD~1"))["runs/dvc/metrics.json"]
    plots = json.loads(project.run("dvc", "plots", "diff", "--json", "HEAD~1"))["data"]
    assert all(plot["revisions"] == ["workspace", "HEAD~1"] for [plot] in plots.values())
    assert len(plots) == 3
