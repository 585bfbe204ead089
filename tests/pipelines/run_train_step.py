"""Runs the real train step alone as `pinclip run` runs the whole pipeline: run_train_step.py ROOT SETTINGS.

ROOT holds prepared/ and neighbours/; a finished run leaves ROOT/events.jsonl and ROOT/curves.jsonl.
"""

import shutil
import sys
from pathlib import Path

from kfp import dsl

from components.configuration import Configuration
from components.steps.train import train
from pipelines.local.runner import execute
from pipelines.local.runs import claimed


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def given(root: str, prepared: dsl.Output[dsl.Dataset], neighbours: dsl.Output[dsl.Dataset]) -> None:
    import shutil

    for output in (prepared, neighbours):
        shutil.copytree(f"{root}/{output.name}", output.path)


@dsl.pipeline(name="resumed")
def pipeline(
    root: str,
    seed: int,
    prepare_config: dict,
    split_config: dict,
    graph_config: dict,
    vision_config: dict,
    text_config: dict,
    fusion_config: dict,
    objective_config: dict,
    train_config: dict,
) -> None:
    data = given(root=root).outputs
    train(
        prepared=data["prepared"],
        neighbours=data["neighbours"],
        seed=seed,
        prepare_config=prepare_config,
        split_config=split_config,
        graph_config=graph_config,
        vision_config=vision_config,
        text_config=text_config,
        fusion_config=fusion_config,
        objective_config=objective_config,
        train_config=train_config,
    )


if __name__ == "__main__":
    root, config = Path(sys.argv[1]), Configuration.from_json(sys.argv[2])
    with claimed(root / "runs" / "a") as work:
        execute("resumed:pipeline", {"root": str(root)}, config, work, lambda event: None)
        (curves,) = (work / "artifacts").glob("*/train/model/curves.jsonl")
        for file in (work / "events.jsonl", curves):
            shutil.copy(file, root)
