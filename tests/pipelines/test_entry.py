"""`pinclip` wherever it is called: modules of other people with our names, terminals that cannot show a character."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.configuration import load
from pinclip_path import ROOT, own_path_first
from pipelines.local.runner import execute

PINCLIP = Path(sys.executable).with_name("pinclip")
OURS = ("model", "serving", "components", "validation", "pipelines")


def pinclip(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [PINCLIP, *arguments]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder with a module and a package of each of our names."""
    for name in OURS:
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('foreign')\n")
        package = tmp_path / "packages" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise RuntimeError('foreign')\n")
    return tmp_path


def test_modules_with_our_names_do_not_come_in_between(foreign):
    path = os.pathsep.join([str(foreign), str(foreign / "packages")])
    done = pinclip("import", "--spec", "none.yaml", "--out", "out", cwd=foreign, PYTHONPATH=path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr


def test_steps_find_ours_first_too(foreign, monkeypatch, tmp_path):
    here, work, events = str(Path(__file__).parent), tmp_path / "work", []  # `here` has tiny_pipeline.py
    work.mkdir()
    monkeypatch.chdir(foreign)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(foreign), here]))
    assert own_path_first().split(os.pathsep) == [ROOT, str(foreign), here]
    execute("tiny_pipeline:tiny", {"behaviour": "good"}, load("smoke"), work, events.append)
    assert "plan" in [event["event"] for event in events]


def test_what_a_terminal_cannot_show_becomes_a_question_mark(tmp_path):
    done = pinclip("ablate", "--help", cwd=tmp_path, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    plain = "import sys; sys.argv[1:] = ['none']; import pinclip_entry, pipelines.cli.app"
    plain += "; pipelines.cli.app.main = lambda: print('2 × no pin_id'); pinclip_entry.main()"
    for encoding in ("ascii", "cp437:strict"):
        command, environment = [sys.executable, "-c", plain], os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, "2 ? no pin_id\n"), done.stderr
