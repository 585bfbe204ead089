"""Runs the real train step alone as `pinclip run` runs the whole pipeline: resumed.py ROOT CONFIG.

ROOT holds prepared/ and neighbours/; a finished run leaves ROOT/events.jsonl and ROOT/curves.jsonl.
"""

import shutil
import sys
from pathlib import Path

from kfp import dsl

from components.train import train
from pipelines.local import execute
from pipelines.runs import claimed


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def given(root: str, prepared: dsl.Output[dsl.Dataset], neighbours: dsl.Output[dsl.Dataset]) -> None:
    import shutil

    for output in (prepared, neighbours):
        shutil.copytree(f"{root}/{output.name}", output.path)


@dsl.pipeline(name="resumed")
def pipeline(root: str, config: str) -> None:
    data = given(root=root).outputs
    train(prepared=data["prepared"], neighbours=data["neighbours"], config=config, run="the-same")


if __name__ == "__main__":
    root = Path(sys.argv[1])
    with claimed(root / "runs" / "a") as work:
        execute("resumed:pipeline", {"root": str(root), "config": sys.argv[2]}, work, lambda event: None)
        (curves,) = (work / "artifacts").glob("*/train/model/curves.jsonl")
        for file in (work / "events.jsonl", curves):
            shutil.copy(file, root)
