"""Runs a KFP pipeline on this machine: kfp.local in a process group of its own, its events shown as they come.

    execute("pipelines.training:training", {"catalogue": …}, config, work, show)

`work` is an empty folder; what it holds afterwards:
    request.json    the pipeline, its arguments and all settings
    events.jsonl    what the steps said (components/progress.py)
    pipeline.log    everything KFP and the steps printed
    artifacts/      <pipeline>-<time>/<task>/<artifact>, the outputs of the steps

The pipeline never outlives this process: it is stopped on Ctrl-C and SIGTERM, and after a SIGKILL it notices that its
pipe is closed. `python -m pipelines.local.runner WORK PIPE` is the pipeline's process; execute() starts it.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from components.configuration import Configuration, pipeline_arguments
from components.progress import EVENTS
from components.ray.cluster import RAY_FOLDER, ray_folder
from model.errors import PinclipError
from model.files import write_json
from pinclip_path import PATH, own_path_first
from pipelines.failure import PipelineFailed
from pipelines.lineage import REDIRECTS

ProgressEvent = dict[str, Any]
POLL = 0.1  # seconds between two looks at the events
GRACE = 5.0  # seconds a stopped pipeline has before it is killed
# For every step, set once here: no telemetry, no chatter, whole lines in the log, and no module of the folder the
# command was typed in mistaken for one of ours.
ENVIRONMENT = {
    "PYTHONSAFEPATH": "1",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",  # the log can hold every character, whatever the terminal can show
    "PYTHONIOENCODING": "utf-8:replace",
    "TOKENIZERS_PARALLELISM": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    # A waiting OpenMP thread goes to sleep at once: spinning makes training twelve times slower on a busy machine.
    "GOMP_SPINCOUNT": "1000",
}


def execute(
    pipeline: str, arguments: dict[str, Any], config: Configuration, work: Path, show: Callable[[ProgressEvent], None]
) -> None:
    """Runs the pipeline `module:function` to its end; of the settings it gets those that it has parameters for.

    Raises:
        PinclipError: a step met a mistake of the user's; the message is its sentence.
        PipelineFailed: anything else went wrong.
    """
    write_json(work / "request.json", {"pipeline": pipeline, "arguments": arguments, "config": config.to_dict()})
    events = work / "events.jsonl"
    events.touch()
    running, problem = "", None
    with _started(work) as process:
        for event in _follow(events, process):
            show(event)
            running = {"start": event.get("step", ""), "end": ""}.get(event["event"], running)
            problem = event if event["event"] == "error" else problem
    if process.returncode == 0:
        return
    if problem and problem["kind"] == "user":
        raise PinclipError(problem["message"])
    if problem:
        raise PipelineFailed(f"The step {problem['step']} failed ({problem['message']}).")
    if running:
        raise PipelineFailed(f"The step {running} was killed, perhaps for want of memory.")
    raise PipelineFailed("The pipeline could not go on between two steps.")


@contextmanager
def _started(work: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The pipeline's process while the block runs; whatever is left of its group is ended with the block."""
    with (
        tempfile.TemporaryDirectory(prefix="pinclip-", ignore_cleanup_errors=True) as scratch,
        ray_folder() as for_ray,
        (work / "pipeline.log").open("wb") as log,
        _pipe() as (read, _write),
        _stoppable(),
    ):
        environment = {name: value for name, value in os.environ.items() if name not in REDIRECTS} | ENVIRONMENT
        environment |= {EVENTS: str(work / "events.jsonl"), PATH: own_path_first()}
        environment |= {"TMPDIR": scratch, RAY_FOLDER: for_ray}
        command = [sys.executable, "-m", __name__, str(work), str(read)]
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(read,),
            start_new_session=True,
        )
        try:
            yield process
        finally:
            _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Terminates the process group, then kills it, with the workers that a step left behind."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)  # raises once nobody of the group is left
            time.sleep(POLL)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """A pipe that nobody writes to: its reader sees the end when this process has ended, in whatever way."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM unwind the stack, so that every `finally` runs, and leave with the shell's code for them."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(path: Path, process: subprocess.Popen[bytes]) -> Iterator[ProgressEvent]:
    """Yields the events appended to the file until the process has ended and all are read."""
    with path.open(encoding="utf-8") as file:
        line = ""
        while True:
            ended = process.poll() is not None
            while piece := file.readline():
                line += piece
                if line.endswith("\n"):
                    yield json.loads(line)
                    line = ""
            if ended:
                return
            time.sleep(POLL)


def _main(work: Path, pipe: int) -> None:
    """The pipeline's side: announces the steps in the order they will run, then runs them."""
    threading.Thread(target=_die_with_parent, args=(pipe,), daemon=True).start()
    request = json.loads((work / "request.json").read_text(encoding="utf-8"))
    module, name = request["pipeline"].split(":")
    pipeline = getattr(importlib.import_module(module), name)

    from kfp import local
    from kfp.local.graph_utils import topological_sort_tasks

    tasks = pipeline.pipeline_spec.root.dag.tasks
    steps = [tasks[key].task_info.name for key in reversed(topological_sort_tasks(tasks))]
    with Path(os.environ[EVENTS]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"time": time.time(), "event": "plan", "steps": steps}) + "\n")
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(work / "artifacts"))
    settings = pipeline_arguments(Configuration.of(**request["config"]), pipeline.component_spec.inputs)
    pipeline(**request["arguments"], **settings)


def _die_with_parent(pipe: int) -> None:
    os.read(pipe, 1)  # returns when the only writer, the parent, is gone
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), int(sys.argv[2]))
