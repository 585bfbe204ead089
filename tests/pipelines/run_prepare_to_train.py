"""Runs prepare, neighbours, extract and train as `pinclip run` runs all: run_prepare_to_train.py ROOT SETTINGS.

ROOT holds catalogue/; a finished run leaves ROOT/events.jsonl and ROOT/artifacts/, the outputs of its steps.
"""

import shutil
import sys
from pathlib import Path

from kfp import dsl

from components.configuration import Configuration
from components.steps.extract import extract
from components.steps.neighbours import neighbours
from components.steps.prepare import prepare
from components.steps.train import train
from pipelines.local.runner import execute
from pipelines.local.runs import claimed


@dsl.pipeline(name="prepared-and-trained")
def pipeline(
    catalogue: str,
    lineage: dict,
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
    source = prepare(
        catalogue=catalogue, lineage=lineage, prepare_config=prepare_config, vision_config=vision_config
    ).outputs["prepared"]
    split = {"seed": seed, "split_config": split_config, "graph_config": graph_config}
    near = neighbours(prepared=source, **split).outputs["neighbours"]
    towers = {"prepare_config": prepare_config, "vision_config": vision_config, "text_config": text_config}
    train(
        prepared=source,
        neighbours=near,
        extracted=extract(prepared=source, **towers).outputs["extracted"],
        **towers,
        fusion_config=fusion_config,
        objective_config=objective_config,
        train_config=train_config,
        **split,
    )


if __name__ == "__main__":
    root, config = Path(sys.argv[1]), Configuration.from_json(sys.argv[2])
    arguments = {"catalogue": str(root / "catalogue"), "lineage": {"git_rev": "a-commit"}}
    with claimed(root / "runs" / "a") as work:
        execute("run_prepare_to_train:pipeline", arguments, config, work, lambda event: None)
        (artifacts,) = (work / "artifacts").iterdir()
        shutil.move(artifacts, root / "artifacts")
        shutil.copy(work / "events.jsonl", root)
