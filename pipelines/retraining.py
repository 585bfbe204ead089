"""Monitoring, step 4, retrain: drift starts a training on the cluster, at most one in a while.

It goes through the KFP server that PINCLIP_KFP_HOST names. On one machine `pinclip monitor` says the command, or starts
it when it is told to (pipelines/watching.py). A step in pipelines/, for it starts one.
"""

from datetime import UTC, datetime

from kfp import dsl

from components.image import IMAGE
from components.monitoring.cooldown import Cooldown
from components.settings import Settings
from model.config import Config

TRAINING = "training"  # what the cool-down calls it


def train_anew(catalogue: str, config: Config, deploy_profile: str, settings: Settings) -> str:
    """Submits a training unless one was started lately; what came of it as a sentence.

    Raises:
        ConfigError: there is no such profile, or no host.
        ClusterError: the server refuses or does not answer; the next look tries again.
    """
    from pipelines.cluster import submit
    from pipelines.profiles import read_profile

    hours = config.monitoring.cooldown_hours
    with Cooldown(settings, hours).once(TRAINING, datetime.now(UTC)) as due:
        if not due:
            return f"A training was started in the last {hours:g} hours; no other is."
        return f"A training was started: {submit(None, 'pinclip', catalogue, config, read_profile(deploy_profile))}"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def retrain(
    noticed: dsl.Input[dsl.Artifact],
    catalogue: str,
    config: str,
    deploy_profile: str,
    retrained: dsl.Output[dsl.Artifact],
) -> None:
    """`deploy_profile` is the training's; empty: no cluster, nothing is started here."""
    from components.progress import advance, step

    with step("retrain"):
        import json
        from pathlib import Path

        from components.settings import Settings
        from model.config import Config
        from pipelines.retraining import train_anew

        asked, says = Config.from_json(config), "No training is started."
        over = json.loads(Path(noticed.path).read_text(encoding="utf-8"))["over"]
        if over and asked.monitoring.retrain and deploy_profile:
            says = train_anew(catalogue, asked, deploy_profile, Settings())
        Path(retrained.path).write_text(says, encoding="utf-8")
        advance(1.0, says)
