"""Drift starts a training on the cluster, at most one within the cool-down, through the KFP server that
PINCLIP_KFP_HOST names.

On one machine `pinclip monitor` says the command, or starts it when it is told to (pipelines/cli/monitor.py).

Where KFP runs a step it takes its own compiler away (`_KFP_RUNTIME`), and a training has to be compiled: this happens
in a process of its own, `python -m pipelines.cluster.retraining`.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

from components.configuration import Configuration
from components.monitoring.cooldown import Cooldown
from components.settings import Settings
from model.errors import ClusterError
from pinclip_path import PATH, own_path_first

TRAINING = "training"  # what the cool-down calls it
RUNTIME = "_KFP_RUNTIME"


def submit_training(catalogue: str, config: Configuration, deploy_profile: str, settings: Settings) -> str:
    """Submits a training unless one was started lately; returns a sentence on it.

    Raises:
        ClusterError: there is no such profile or no host, or the server refuses; the next look tries again.
    """
    hours = config.monitoring.cooldown_hours
    with Cooldown(settings, hours).once(TRAINING, datetime.now(UTC)) as due:
        if not due:
            return f"A training was started in the last {hours:g} hours; no other is."
        return f"A training was started: {_submitted(catalogue, config, deploy_profile)}"


def _submitted(catalogue: str, config: Configuration, deploy_profile: str) -> str:
    asked = {"catalogue": catalogue, "config": config.to_json(), "deploy_profile": deploy_profile}
    environment = {name: value for name, value in os.environ.items() if name != RUNTIME} | {PATH: own_path_first()}
    command = [sys.executable, "-m", "pipelines.cluster.retraining"]
    done = subprocess.run(
        command, input=json.dumps(asked), env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode == 2:
        raise ClusterError(done.stderr.strip())
    if done.returncode:
        raise RuntimeError(f"The training could not be submitted: {done.stderr.strip()[-2000:]}")
    return done.stdout.strip()
