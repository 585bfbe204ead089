"""Runs prepare, neighbours and train as `pinclip run` runs the whole pipeline: on_volume.py CATALOGUE WORK SETTINGS."""

import sys
from pathlib import Path

from kfp import dsl

from components.configuration import Configuration
from components.steps.neighbours import neighbours
from components.steps.prepare import prepare
from components.steps.train import train
from model.errors import PinclipError
from pipelines.local.runner import execute


@dsl.pipeline(name="on-volume")
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
    train(
        prepared=source,
        neighbours=near,
        prepare_config=prepare_config,
        vision_config=vision_config,
        text_config=text_config,
        fusion_config=fusion_config,
        objective_config=objective_config,
        train_config=train_config,
        **split,
    )


if __name__ == "__main__":
    work, config = Path(sys.argv[2]), Configuration.from_json(sys.argv[3])
    work.mkdir()
    given = {"catalogue": sys.argv[1], "lineage": {"git_rev": "a-commit"}}
    try:
        execute("on_volume:pipeline", given, config, work, lambda event: None)
    except PinclipError as error:
        sys.exit(str(error))
