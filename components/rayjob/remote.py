"""The training inside a RayJob:  python -m components.rayjob.remote <folder>   (components/rayjob/work.py)

The same function as on one machine; Ray's own RAY_ADDRESS is the cluster that KubeRay made for it.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from components import progress, ray_training
from components.ray_cluster import has_cluster, ray_cluster
from components.rayjob.spoken import say
from model.config import Config
from model.errors import PinclipError, TrainingError
from model.files import write_json

JOINING = 1500.0  # seconds that worker pods have to come up; less than KubeRay gives them, to say which is missing


def main(folder: Path) -> None:
    """A mistake of the user's is an outcome as well: trying again would not mend it."""
    if (folder / "outcome.json").is_file():
        return  # of an earlier try, whose end KubeRay did not see
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    progress.speak_for(request["step"], None)
    folders = Path(request["prepared"]), Path(request["neighbours"]), folder / "model"
    try:
        _await_nodes(request["nodes"], JOINING)
        config = Config.from_json(json.dumps(request["config"]))
        outcome: dict[str, Any] = {"figures": ray_training.train(*folders, config, say, Path(request["snapshot"]))}
    except PinclipError as error:
        outcome = {"refusal": type(error).__name__, "message": str(error)}
    write_json(folder / "outcome.json", outcome)


def _await_nodes(wanted: int, patience: float) -> None:
    """A RayJob begins when its head is up; its workers join while it runs."""
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
