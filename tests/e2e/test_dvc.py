"""Real `dvc repro` and `dvc exp run` over the real pipeline, in a repository of its own with a tiny catalogue."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from components.settings import Settings

ROOT = Path(__file__).parents[2]
CODE = ("components", "feature_repo", "model", "pipelines", "validation")
FILES = ("dvc.yaml", ".dvcignore", ".dvc/config", ".dvc/.gitignore", ".gitignore")
PARAMS = {
    "generate": {"pins": 240, "boards": 24, "seed": 3},
    "profile": "smoke",
    "seed": 0,
    "train": {"epochs": 1, "batch_size": 32},
    "gate": {"min_retention": 0.0},  # so small a catalogue says little; the features are to be published
}
pytestmark = pytest.mark.timeout(900)


class Project:
    """A copy of the code under git and DVC; its state (MLflow, Feast) stays inside it."""

    def __init__(self, root: Path) -> None:
        self.root, self.home = root, root / ".pinclip"
        for name in CODE:
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            (root / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, root / name)
        (root / "params.yaml").write_text(yaml.safe_dump(PARAMS))
        self.run("git", "init", "-q")
        self.commit("The code")

    def run(self, *command: str) -> str:
        """What the command prints; with its complaints where it fails."""
        names = {
            f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        environment = os.environ | names
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        environment["PYTHONPATH"] = str(self.root)  # this copy, not the installed project
        environment["PINCLIP_HOME"] = str(self.home)
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=800)
        assert done.returncode == 0, (
            f"{command} exited with {done.returncode}\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}"
        )
        return done.stdout

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", message)

    def json(self, path: str) -> dict:
        return json.loads((self.root / path).read_text())


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """Reproduced once and committed."""
    project = Project(tmp_path_factory.mktemp("dvc"))
    project.run("dvc", "repro")
    project.commit("A run")
    return project


def test_what_has_not_changed_is_skipped(project):
    assert "Data and pipelines are up to date" in project.run("dvc", "repro")
    assert project.run("git", "status", "--porcelain") == ""


def test_the_catalogues_md5_is_lineage_of_the_run_the_model_and_the_features(project):
    from mlflow import MlflowClient

    from components.feature_store import open_store

    md5 = yaml.safe_load((project.root / "dvc.lock").read_text())["stages"]["catalogue"]["outs"][0]["md5"]
    version, settings = project.json("runs/dvc/version.json"), Settings(home=project.home)
    run = MlflowClient(tracking_uri=settings.mlflow_uri).get_run(version["mlflow_run_id"])
    view = open_store(settings).get_feature_view(f"pin_embedding_v{version['version']}")
    assert project.json("runs/dvc/lineage.json")["dvc_md5"] == md5
    assert run.data.tags["pinclip.dvc_md5"] == md5
    assert view.tags["dvc_md5"] == md5


def test_metrics_and_plots_are_read_by_dvc(project):
    shown = json.loads(project.run("dvc", "metrics", "show", "--json"))
    measured = shown[""]["data"]["runs/dvc/metrics.json"]["data"]
    assert measured["related_pins"] == project.json("runs/dvc/metrics.json")["related_pins"]
    project.run("dvc", "plots", "show", "--out", "dvc_plots")
    page = (project.root / "dvc_plots/index.html").read_text()
    assert "baseline_clip.csv" in page
    assert "text_fused" in page


def test_an_experiment_with_another_parameter_is_run_and_compared(project):
    lock = (project.root / "dvc.lock").read_text()
    project.run("dvc", "exp", "run", "-S", "train.epochs=2")
    assert (project.root / "dvc.lock").read_text() != lock
    assert yaml.safe_load((project.root / "params.yaml").read_text())["train"]["epochs"] == 2
    assert json.loads(project.run("dvc", "metrics", "diff", "--json"))["runs/dvc/metrics.json"]
    plots = json.loads(project.run("dvc", "plots", "diff", "--json"))["data"]
    assert all(plot["revisions"] == ["workspace", "HEAD"] for [plot] in plots.values())
    assert len(plots) == 3
