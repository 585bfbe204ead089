"""`pinclip monitor` before and after a look; whole looks are in tests/e2e/test_chain.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from components.configuration import load
from components.settings import Settings
from pipelines.cli import monitor

PINCLIP = Path(sys.executable).with_name("pinclip")


def pinclip(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    settings = os.environ | {"PINCLIP_HOME": str(cwd / "home")}
    return subprocess.run(
        [PINCLIP, *arguments], cwd=cwd, env=settings, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("catalogue", "says"),
    [("nowhere", "There is no catalogue at"), ("catalogue", "No space is published in")],
)
def test_a_mistake_is_one_sentence_before_anything_starts(tmp_path, catalogue, says):
    made = pinclip("generate", "--pins", "12", "--boards", "2", "--out", "catalogue", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    done = pinclip("monitor", "--catalogue", catalogue, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"pinclip: {says}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "monitoring").exists()


def test_an_alarm_says_the_command_or_starts_it_once(tmp_path, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(monitor, "run_training", lambda catalogue, config, out: started.append(catalogue))
    settings, config, catalogue = Settings(home=tmp_path / "home"), load("smoke"), Path("catalogue")

    def alarm(retrain: bool) -> str:
        monitor.offer_retraining(Console(), catalogue, config, settings, retrain)
        return " ".join(capsys.readouterr().out.split())

    assert alarm(False).startswith("training pinclip run --catalogue catalogue --profile smoke")
    assert started == []
    assert alarm(True) == "training starts now"
    assert alarm(True) == "training one was started in the last 24 hours; no other is"
    assert started == [catalogue]
