"""Submits one training for the step `retrain`:  python -m pipelines.cluster.retraining < asked.json

It reads what to start, {"catalogue", "config", "deploy_profile"}, and prints the address of the run
(components/monitoring/retraining.py).
"""

import json
import sys

from components.configuration import Configuration
from model.errors import PinclipError
from pipelines.cluster.client import submit
from pipelines.cluster.profiles import read_profile


def _main() -> None:
    asked = json.load(sys.stdin)
    try:
        profile = read_profile(asked["deploy_profile"])
        cluster, run_id = submit(None, "pinclip", asked["catalogue"], Configuration.from_json(asked["config"]), profile)
    except PinclipError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    sys.stdout.write(f"{cluster.address(run_id)}\n")


if __name__ == "__main__":
    _main()
