"""A pipeline of two steps that behaves as it is told: the runner's tests need no model."""

from kfp import dsl

KEPT = {"metrics.json": "first/metrics", "validation.json": "first/validation", "version.json": "second/version"}


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def first(seed: int, metrics: dsl.Output[dsl.Metrics], validation: dsl.Output[dsl.Artifact]) -> None:
    from pathlib import Path

    from components.progress import advance, step

    with step("first"):
        advance(0.5, f"seed {seed}", loss=1.5, images_per_s=100.0)
        Path(validation.path).write_text('{"success": true, "failures": [], "warnings": []}')
        Path(metrics.path).write_text('{"model": {"parameters": 3}}')


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def second(behaviour: str, metrics: dsl.Input[dsl.Metrics], version: dsl.Output[dsl.Artifact]) -> None:
    import os
    import signal
    import subprocess
    import time
    from pathlib import Path

    from components.progress import advance, step
    from model.errors import CatalogueError

    with step("second"):
        if behaviour == "mistake":
            raise CatalogueError("The column 'pin_id' is missing in pins.csv; name it in the spec.")
        if behaviour == "bug":
            raise KeyError("pin_id")
        if behaviour == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if behaviour.startswith("hang"):
            child = subprocess.Popen(["sleep", "600"])
            Path(behaviour.removeprefix("hang ")).write_text(f"{os.getpid()} {child.pid}")
            time.sleep(600)
        advance(1.0, "two done")
        Path(version.path).write_text('{"version": "7"}')


@dsl.pipeline(name="tiny")
def tiny(seed: int, behaviour: str) -> None:
    begun = first(seed=seed)
    second(behaviour=behaviour, metrics=begun.outputs["metrics"]).set_display_name("second")
