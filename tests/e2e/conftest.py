"""The project as a user has it, with one run: a copy of the code under git and DVC, an experiment of it committed.

A run takes minutes, and there is one. The commit before it holds one that nobody trained: what `dvc exp run` changes is
compared with that.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.settings import Settings
from model.files import write_json

ROOT = Path(__file__).parents[2]
CODE = ("components", "feature_repo", "model", "pipelines", "serving", "validation")
FILES = ("dvc.yaml", ".dvcignore", ".dvc/config", ".dvc/.gitignore", ".gitignore")
PARAMS = {
    "generate": {"pins": 400, "boards": 60, "seed": 3},
    "profile": "smoke",
    "seed": 0,
    "train": {"epochs": 3},
    "gate": {"min_retention": 0.0},  # so small a catalogue says little; the features are to be published
}


class Project:
    """Its state (MLflow, Feast) stays inside its folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.settings = root, Settings(home=root / ".pinclip")
        for name in CODE:
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            (root / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
        self.run("git", "init", "-q")
        self.commit("The code")

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        names = {
            f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        environment = os.environ | names
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        environment["PYTHONPATH"] = str(self.root)  # this copy, not the installed project
        environment["PINCLIP_HOME"] = str(self.settings.home)
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=800)

    def run(self, *command: str) -> str:
        """What the command prints; with its complaints where it fails."""
        done = self.call(*command)
        assert done.returncode == 0, (
            f"{command} exited with {done.returncode}\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
        )
        return done.stdout

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", message)

    def json(self, path: str) -> Any:
        return json.loads((self.root / path).read_text())


def write_untrained_run(folder: Path) -> None:
    """What DVC reads of a run, with figures of nobody's."""
    (folder / "curves").mkdir(parents=True)
    write_json(folder / "lineage.json", {})
    write_json(folder / "metrics.json", {"related_pins": {"recall@10": 0.0}})
    for name in ("pinclip", "baseline_clip"):
        (folder / "curves" / f"{name}.csv").write_text("step,image_text,neighbour,text_fused\n1,9.0,9.0,9.0\n")


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Project:
    """After `dvc exp run` with another parameter: `pinclip generate` and `pinclip run` with what params.yaml says."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.run("dvc", "repro", "catalogue")
    write_untrained_run(project.root / "runs/dvc")
    project.run("dvc", "commit", "--force", "pipeline")
    project.commit("A run with 3 epochs")
    project.run("dvc", "exp", "run", "-S", "train.epochs=1")
    project.commit("A run with 1 epoch")
    return project
