"""Events: what a step says, to whom, and how often."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components import progress
from components.progress import advance, advance_training, finished, log_line, step, timings
from model.errors import CatalogueError, ServerAway


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv("PINCLIP_EVENTS", str(path))
    return lambda: [json.loads(line) for line in path.read_text().splitlines()]


def test_a_step_is_framed_by_start_and_end(events):
    with step("train"):
        advance(0.5, "half", loss=1.25)
    start, middle, end = events()
    assert [start["event"], middle["event"], end["event"]] == ["start", "progress", "end"]
    assert {record["step"] for record in events()} == {"train"}
    assert (middle["fraction"], middle["message"], middle["loss"]) == (0.5, "half", 1.25)
    assert 0 <= end["seconds"] < 5
    assert 1e6 < end["peak_bytes"] < 1e12


def test_a_users_mistake_leaves_its_sentence_and_goes_on_rising(events):
    with pytest.raises(CatalogueError), step("prepare"):
        raise CatalogueError("No Pins in pins/; import them again.")
    assert events()[-1]["kind"] == "user"
    assert events()[-1]["message"] == "No Pins in pins/; import them again."


def test_any_other_error_is_a_bug_and_names_its_type(events):
    with pytest.raises(KeyError), step("prepare"):
        raise KeyError("pin_id")
    assert (events()[-1]["kind"], events()[-1]["message"]) == ("bug", "KeyError: 'pin_id'")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (CatalogueError("No Pins in pins/."), "Trying again does not help: No Pins in pins/."),
        (ServerAway("MLflow does not answer."), "MLflow does not answer."),
        (KeyError("pin_id"), "KeyError: 'pin_id'"),
    ],
)
def test_kubernetes_is_told_the_last_word_and_whether_trying_again_helps(tmp_path, monkeypatch, error, says):
    """Argo shows it, and may be told to read the mark; a machine that is no pod has no such file and gets none."""
    log = tmp_path / "termination-log"
    monkeypatch.setenv("PINCLIP_TERMINATION_MESSAGE", str(log))
    for there in (False, True):
        if there:
            log.touch()
        with pytest.raises(type(error)), step("prepare"):
            raise error
        assert log.exists() == there
    assert log.read_text() == says


def test_a_fast_caller_is_thinned_out_but_the_end_always_told(events):
    with step("embed"):
        for i in range(1000):
            advance((i + 1) / 1000)
    fractions = [record["fraction"] for record in events() if record["event"] == "progress"]
    assert fractions[0] == 0.001
    assert fractions[-1] == 1.0
    assert len(fractions) < 100


def test_each_step_begins_without_waiting_for_the_interval_of_the_last(events):
    for name in ("prepare", "validate"):
        with step(name):
            advance(0.1)
    assert [record["step"] for record in events() if record["event"] == "progress"] == ["prepare", "validate"]


def test_a_fraction_outside_its_range_is_clipped(events):
    with step("embed"):
        advance(1.7)
    assert events()[1]["fraction"] == 1.0


def test_training_points_become_progress(events):
    with step("train"):
        advance_training({"fraction": 0.25, "epoch": 2.5, "loss": 3.0, "images_per_s": 812.5, "step": 10})
    assert events()[1]["message"] == "epoch 2.5"
    assert events()[1]["images_per_s"] == 812.5


def test_finished_steps_in_order(events, tmp_path):
    for name in ("prepare", "validate"):
        with step(name):
            pass
    with pytest.raises(ValueError, match="x"), step("train"):
        raise ValueError("x")
    assert list(finished(tmp_path / "events.jsonl")) == ["prepare", "validate"]
    assert timings() == {name: end["seconds"] for name, end in finished(tmp_path / "events.jsonl").items()}


def test_without_a_file_there_are_only_lines(monkeypatch, capsys):
    monkeypatch.delenv("PINCLIP_EVENTS", raising=False)
    with step("train"):
        advance(0.4, "epoch 4 of 10", loss=1.9312345)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["train  start", "train  40%  epoch 4 of 10  loss 1.931"]
    assert timings() == {}


def test_plain_lines_are_for_people():
    end = {"time": 0.0, "step": "embed", "event": "end", "seconds": 12.3456, "peak_bytes": 3 * 2**30}
    assert log_line(end) == "embed  end  12.3 s"


def test_the_peak_of_a_step_is_that_of_whoever_spoke_for_it(tmp_path):
    worker = {"step": "train", "event": "progress", "peak_bytes": 900}
    records = [{"event": "plan"}, worker, {"step": "train", "event": "end", "seconds": 1.0, "peak_bytes": 300}]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    assert finished(tmp_path / "events.jsonl")["train"] == {**records[2], "peak_bytes": 900}


def test_a_worker_speaks_for_its_step(events, tmp_path):
    with step("train"):
        code = "from components import progress; progress.set_current_step('train', %r); progress.advance(0.5)"
        command = [sys.executable, "-c", code % str(tmp_path / "events.jsonl")]
        subprocess.run(command, env=os.environ | {"PINCLIP_EVENTS": ""}, check=True, timeout=60)
    assert [(e["step"], e["event"]) for e in events()] == [("train", e) for e in ("start", "progress", "end")]


def test_peak_memory_sees_what_this_process_held():
    before = progress.peak_bytes()
    held = bytearray(64 * 2**20)
    held[::4096] = b"x" * len(held[::4096])
    assert progress.peak_bytes() >= max(before, 64 * 2**20)
