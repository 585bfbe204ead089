"""Trials on a real Ray: what is finished is never trained again, and one that fails is named while the others go on."""

import dataclasses
import json

import pytest
import torch

from components.studies.trials import Clock, Trial, run_trials
from model.config.overrides import override
from model.evaluation.trial import run_trial


@pytest.fixture(scope="module")
def study(tmp_path_factory, data, config):
    """(trials, out, records, what was shown) of two seeds and of one trial that cannot train."""
    broken = override(config, {"train": {"batch_size": 512}})
    trials = [Trial("pinclip", 0, config), Trial("broken", 0, broken), Trial("pinclip", 1, config)]
    out, shown = tmp_path_factory.mktemp("out"), []
    return trials, out, run_trials(trials, data, out, "abc", 2, shown.append), shown


def test_records_stand_in_the_order_of_the_trials(study):
    trials, _, records, _ = study
    assert [(r["name"], r["seed"]) for r in records] == [(t.name, t.seed) for t in trials]
    assert records[0]["config"] == json.loads(trials[0].config.to_json())
    assert records[0]["git_rev"] == "abc"


@pytest.fixture
def one_thread():
    """As a trial's process has it: sums of two threads are rounded otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_a_trial_in_its_process_finds_what_it_finds_alone(study, data, config, tmp_path):
    alone = run_trial(data.prepared(config), data.neighbours(config), tmp_path, config, seed=1)
    assert study[2][2]["fresh"] == alone["fresh"]
    assert study[2][0]["fresh"] != alone["fresh"]


def test_a_mistake_is_named_and_not_kept(study, data):
    trials, out, records, _ = study
    assert records[1]["error"].startswith("train.batch_size is 512, but there are")
    kept = {path.stem for path in (out / "trials").iterdir()}
    assert kept == {trials[0].key(data), trials[2].key(data)}
    assert not (out / "work" / trials[0].key(data)).exists()


def test_progress_reaches_the_end(study):
    shown = study[3]
    assert sorted(one.finished["name"] for one in shown if one.finished) == ["broken", "pinclip", "pinclip"]
    assert shown[-1].done == shown[-1].total == 3
    assert shown[-1].fraction == 1


def test_a_repeated_study_trains_only_what_is_missing(study, data, monkeypatch):
    trials, out, records, _ = study
    well = [trials[0], trials[2]]
    files = [out / "trials" / f"{trial.key(data)}.json" for trial in well]
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in files]

    def no_ray(*arguments):
        raise AssertionError("nothing is left to train")

    with monkeypatch.context() as patch:
        patch.setattr("components.studies.trials.ray_cluster", no_ray)
        assert run_trials(well, data, out, "later", None, lambda progress: None) == [records[0], records[2]]
        renamed = [dataclasses.replace(well[0], name="words")]  # that was the default once, and is an arm now
        assert run_trials(renamed, data, out, "later", None, lambda progress: None) == [records[0] | {"name": "words"}]
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in files] == before
    files[1].unlink()
    again = run_trials(well, data, out, "later", 1, lambda progress: None)
    assert files[0].stat().st_mtime_ns == before[0][0]
    assert [record["git_rev"] for record in again] == ["abc", "later"]
    assert again[1]["fresh"] == records[2]["fresh"]


def test_a_trial_is_known_by_its_settings_its_seed_and_its_catalogue(data, config):
    other = override(config, {"train": {"epochs": 2}})
    keys = {Trial("a", 0, config).key(data), Trial("a", 1, config).key(data), Trial("a", 0, other).key(data)}
    assert len(keys) == 3
    assert Trial("another name", 0, config).key(data) in keys


def test_the_rest_is_estimated_by_the_pace_of_this_command(monkeypatch):
    """Two of four were found finished; one takes 10 s: the last takes 10 s more."""
    now = 0.0
    monkeypatch.setattr("components.studies.trials.time.monotonic", lambda: now)
    clock, found = Clock(4, 2), {"name": "found"}
    assert clock.progress(found, []).rest is None
    clock.progress(found, [])
    now = 10.0
    said = clock.progress({"name": "trained"}, [])
    assert (said.done, said.fraction, said.rest) == (3, 0.75, pytest.approx(10))
