"""Notify (monitoring): sends the notice of drift, at most one within the cool-down; a webhook that fails does
not fail the run."""

from kfp import dsl

from components.container_image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def notify(drift: dsl.Input[dsl.Artifact], monitoring_config: dict, noticed: dsl.Output[dsl.Artifact]) -> None:
    from components.progress import advance, step

    with step("notify"):
        import json
        from pathlib import Path

        from components.configuration import Configuration
        from components.monitoring.notice import notify
        from components.settings import Settings
        from model.files import write_json

        found = json.loads(Path(drift.path).read_text(encoding="utf-8"))
        done = notify(found, Configuration.of(monitoring=monitoring_config).monitoring, Settings())
        write_json(Path(noticed.path), done)
        advance(1.0, done["says"])
