"""A search of three trials on a real Ray, with MLflow: children of one parent, and nothing twice."""

from dataclasses import replace

import pytest

from components.mlflow_client import connect
from components.settings import Settings
from components.studies.markdown_report import tuning_page
from components.studies.plots import tuning_plot
from components.studies.search_space import Choices, Range
from components.studies.tuning import Scored, Search, best_settings, score, tune


@pytest.fixture
def search(data, config, tmp_path):
    space = {"train.learning_rate": Range(0.0005, 0.005, log=True), "train.batch_size": Choices([32, 512])}
    return Search(config, space, data, tmp_path / "out", "abc", trials=3)


def children(settings: Settings) -> list:
    client = connect(settings)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(parents) == 1
    found = [run for run in runs if run not in parents]
    assert {run.data.tags["mlflow.parentRunId"] for run in found} == {parents[0].info.run_id}
    return found


def test_a_search_and_its_repetition(search, tmp_path, monkeypatch):
    monkeypatch.setenv("PINCLIP_HOME", str(tmp_path / "home"))
    shown = []
    scored, failed = tune(search, 2, shown.append)
    assert len(scored) + len(failed) == 3
    assert all("train.batch_size is 512" in record["error"] for record in failed)
    assert [one.as_it_was for one in scored].count(True) == 1
    assert [one.score for one in scored] == sorted((one.score for one in scored), reverse=True)
    assert {one.record["config"]["split"]["judge"] for one in scored} == {"validation"}
    assert shown[-1].done == 3
    check_pages(search, scored, failed, tmp_path)
    logged = children(Settings())
    finished = {run.data.tags["pinclip.trial"]: run for run in logged if run.info.status == "FINISHED"}
    assert {one.record["key"]: pytest.approx(one.score) for one in scored} == {
        key: run.data.metrics["score"] for key, run in finished.items()
    }
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "trials").iterdir()}
    again, _ = tune(search, 2, shown.append)
    assert [one.record for one in again] == [one.record for one in scored]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "trials").iterdir()} == before
    assert len([run for run in children(Settings()) if run.info.status == "FINISHED"]) == len(scored)


def check_pages(search, scored, failed, folder) -> None:
    page = tuning_page(search, scored, failed)
    assert page.count("as it was |") == 1
    assert all(line in page for line in best_settings(scored[0], search.space))
    tuning_plot(scored, search.space, folder / "tuning.png")
    assert (folder / "tuning.png").read_bytes().startswith(b"\x89PNG")


def test_the_score_is_the_geometric_mean_of_what_was_measured():
    assert score({"related_pins": 0.1, "search": 0.2, "pintext": 0.4, "image_to_text": 0.9}) == pytest.approx(0.2)
    assert score({"related_pins": 0.1, "pintext": 0.4}) == pytest.approx(0.2)
    assert score({"related_pins": 0.1, "search": 0.0, "pintext": 0.4}) == 0
    assert score({}) == 0


def test_the_best_is_written_as_set_takes_it(search):
    as_it_was = Scored({}, search.trial(search.start()).config, 0.5, True)
    written = ["--set train.learning_rate=0.001", "--set train.batch_size=32"]
    assert best_settings(as_it_was, search.space) == written


def test_a_longer_search_begins_with_the_shorter_one(search):
    longer = replace(search, trials=9)
    assert search.draws() == longer.draws()[:3]
    assert len({longer.trial(values).key(search.data) for values in longer.draws()}) == 9


def test_settings_drawn_twice_are_tried_once(search, tmp_path, monkeypatch):
    monkeypatch.setenv("PINCLIP_HOME", str(tmp_path / "home"))
    tried = []

    def none_is_trained(trials, data, *rest):
        tried.extend(trials)
        return [{"key": trial.key(data), "error": "not trained"} for trial in trials]

    monkeypatch.setattr("components.studies.tuning.run_trials", none_is_trained)
    tune(replace(search, space={"train.batch_size": Choices([32, 64])}, trials=20), 1, lambda progress: None)
    assert [trial.config.train.batch_size for trial in tried] == [32, 64]
