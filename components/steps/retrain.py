"""Retrain (monitoring): drift starts a training on the cluster, at most one within the cool-down."""

from kfp import dsl

from components.container_image import IMAGE


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

        from components.configuration import Configuration
        from components.monitoring.retraining import submit_training
        from components.settings import Settings

        asked, says = Configuration.from_json(config), "No training is started."
        over = json.loads(Path(noticed.path).read_text(encoding="utf-8"))["over"]
        if over and asked.monitoring.retrain and deploy_profile:
            says = submit_training(catalogue, asked, deploy_profile, Settings())
        Path(retrained.path).write_text(says, encoding="utf-8")
        advance(1.0, says)
