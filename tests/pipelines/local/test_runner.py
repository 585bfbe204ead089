"""The runner, on a pipeline of two steps: what it shows, how it fails, and that nothing outlives it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.configuration import load
from model.errors import PinclipError, RunError
from pipelines.failure import PipelineFailed
from pipelines.local.runner import execute
from pipelines.local.runs import claimed

HERE = Path(__file__).parents[1]


@pytest.fixture
def run_tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the tiny pipeline in the folder `work`; returns the events shown."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    work = tmp_path / "work"
    work.mkdir()
    shown: list[dict] = []

    def run(behaviour: str) -> list[dict]:
        execute("tiny_pipeline:tiny", {"behaviour": behaviour}, load("smoke"), work, shown.append)
        return shown

    run.work, run.shown = work, shown
    return run


def drive(out: Path, behaviour: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(HERE), "CI": "1"}
    command = [sys.executable, str(HERE / "run_tiny_pipeline.py"), str(out), behaviour]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def waits(process: subprocess.Popen[str], mark: Path) -> list[int]:
    """The process ids of the second step, once it hangs."""
    deadline = time.monotonic() + 30
    while not (mark.exists() and mark.read_text()):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [int(pid) for pid in mark.read_text().split()]


def gone(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def all_gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while not all(map(gone, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return all(map(gone, pids))


def test_events_come_in_order_and_outputs_stay_in_the_work_folder(run_tiny):
    told = [(event.get("step"), event["event"]) for event in run_tiny("well")]
    assert told[0] == (None, "plan")
    assert run_tiny.shown[0]["steps"] == ["first", "second"]
    assert told[1:] == [(name, event) for name in ("first", "second") for event in ("start", "progress", "end")]
    (output,) = (run_tiny.work / "artifacts").glob("*/second/version")
    assert json.loads(output.read_text()) == {"version": "7"}
    assert "second  100%  two done" in (run_tiny.work / "pipeline.log").read_text()


def test_a_mistake_in_a_step_is_raised_as_its_sentence(run_tiny):
    with pytest.raises(PinclipError, match=r"^The column 'pin_id' is missing in pins.csv; name it in the spec\.$"):
        run_tiny("mistake")
    assert run_tiny.shown[-1]["event"] == "error"


def test_a_bug_names_the_step_and_the_error(run_tiny):
    with pytest.raises(PipelineFailed, match=r"^The step second failed \(KeyError: 'pin_id'\)\.$"):
        run_tiny("bug")
    assert "Traceback" in (run_tiny.work / "pipeline.log").read_text()


def test_a_killed_step_is_told_from_a_failed_one(run_tiny):
    with pytest.raises(PipelineFailed, match="The step second was killed"):
        run_tiny("crash")


def test_a_pipeline_that_cannot_start_fails_with_a_sentence(tmp_path):
    with pytest.raises(PipelineFailed, match="between two steps"):
        execute("no_such_module:tiny", {}, load("smoke"), tmp_path, lambda event: None)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_takes_everything_with_it(tmp_path, number, code):
    out = tmp_path / "runs" / "a"
    process = drive(out, f"hang {tmp_path / 'mark'}")
    pids = waits(process, tmp_path / "mark")
    with pytest.raises(RunError, match="Another run is writing"), claimed(out):
        pass
    process.send_signal(number)
    assert process.wait(timeout=20) == code
    assert all_gone(pids)
    assert list(out.parent.iterdir()) == []


def test_after_a_kill_the_last_run_stands_and_the_next_works(tmp_path):
    runs = tmp_path / "runs"
    (runs / "a").mkdir(parents=True)
    (runs / "latest").symlink_to("a")
    killed = drive(runs / "b", f"hang {tmp_path / 'mark'}")
    pids = waits(killed, tmp_path / "mark")
    killed.kill()
    killed.wait(timeout=20)
    assert all_gone(pids)
    assert (runs / "latest").readlink() == Path("a")
    assert not (runs / "b").exists()
    again = drive(runs / "b", "well")
    assert again.wait(timeout=60) == 0, again.stdout.read()
    assert (runs / "latest").readlink() == Path("b")
    assert sorted(path.name for path in runs.iterdir()) == ["a", "b", "latest"]
