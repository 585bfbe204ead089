"""The program that a RayJob runs:  python -m components.ray.rayjob.entrypoint <folder>   (shared_folder.py)

It trains by the same function as on one machine; RAY_ADDRESS is the Ray cluster that KubeRay made.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from components import progress
from components.ray import training
from components.ray.cluster import has_cluster, ray_cluster
from components.ray.rayjob.heartbeat import ending_without_heartbeat
from components.ray.rayjob.manifest import USER
from components.ray.rayjob.progress_log import write_progress, write_refusal
from components.ray.rayjob.shared_folder import read_outcome
from model.config import Config
from model.errors import PinclipError, RunError, TrainingError
from model.files import remove, write_json, write_text

JOINING = 1500.0  # seconds that worker pods have to come up; less than KubeRay gives them, to say which is missing


def main(folder: Path) -> None:
    """Writes an outcome however the training ends, since an immediate retry would end the same way."""
    if read_outcome(folder) == "figures":
        return  # the outcome of an earlier try, whose end KubeRay did not see
    try:
        remove(folder / "outcome.json")  # of one that lost its workers while its Ray cluster was taken from it
        _check_writable(folder)
        with ending_without_heartbeat(folder, _leave):
            outcome = _outcome(folder)
        write_json(folder / "outcome.json", outcome)
    except OSError as error:
        reason = error.strerror or str(error)[:200]
        write_refusal(
            RunError(
                f"The Ray pods cannot write to {folder} ({reason}); make room there, or let user {USER} write to it."
            )
        )


def _check_writable(folder: Path) -> None:
    """Raises OSError before the training starts."""
    write_text(folder / "probe", "")
    remove(folder / "probe")


def _outcome(folder: Path) -> dict[str, Any]:
    try:
        return {"figures": _trained(folder)}
    except PinclipError as error:
        return {"refusal": type(error).__name__, "message": str(error)}
    except Exception as error:
        traceback.print_exc()
        first_line = next(iter(str(error).splitlines()), "").rstrip(".")[:200]
        text = f"The training broke off ({type(error).__name__}: {first_line}); its log above has the whole error."
        return {"refusal": TrainingError.__name__, "message": text}


def _trained(folder: Path) -> dict[str, Any]:
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    progress.set_current_step(request["step"], None)
    folders = Path(request["prepared"]), Path(request["neighbours"]), folder / "model"
    await_nodes(request["nodes"], JOINING)
    config = Config.from_json(json.dumps(request["config"]))
    extracted, anchors = (
        file if file.is_file() else None for file in (folder / "extraction.json", folder / "anchors.parquet")
    )
    return training.train(*folders, config, write_progress, Path(request["snapshot"]), extracted, anchors)


def _leave() -> None:
    """Ends this process with exit code 0: KubeRay would restart a failed one, and no step waits for it."""
    sys.stdout.write(
        "No step has followed this training for a quarter of an hour: it ends; a new start of the step "
        "goes on from the last snapshot.\n"
    )
    sys.stdout.flush()
    os._exit(0)


def await_nodes(wanted: int, patience: float) -> None:
    """Waits for the workers: a RayJob begins as soon as its head runs."""
    if not has_cluster():
        return
    import ray

    end = time.monotonic() + patience
    with ray_cluster():
        while (there := sum(node["Alive"] for node in ray.nodes())) < wanted:
            if time.monotonic() > end:
                raise TrainingError(
                    f"Only {there} of {wanted} nodes of the Ray cluster came up within {patience:.0f} s; look at its "
                    "pods with kubectl describe."
                )
            time.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
