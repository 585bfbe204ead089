"""Runs the tiny pipeline as the command line runs the real one: run_tiny_pipeline.py RUN BEHAVIOUR."""

import sys
from pathlib import Path

from rich.console import Console
from tiny_pipeline import KEPT

from components.configuration import load
from pipelines.local.display import display
from pipelines.local.runner import execute
from pipelines.local.runs import claimed, publish

out, behaviour = Path(sys.argv[1]), sys.argv[2]
with claimed(out) as work:
    with display(Console()) as show:
        execute("tiny_pipeline:tiny", {"behaviour": behaviour}, load("smoke"), work, show)
    publish(work, out, {"behaviour": behaviour}, KEPT)
