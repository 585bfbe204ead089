"""Monitoring, step 1, collect: a sample of today's catalogue through today's model, and what the store serves."""

from kfp import dsl

from components.image import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def collect(catalogue: str, config: str, lineage: dict, collected: dsl.Output[dsl.Dataset]) -> None:
    from components.progress import advance, step

    with step("collect"):
        from pathlib import Path

        from components.monitoring.collecting import collect
        from components.settings import Settings
        from model.config import Config

        look = collect(Path(catalogue), Config.from_json(config), Path(collected.path), Settings(), advance)
        collected.metadata.update(lineage | {"space": look["space"], "time": look["time"]})
