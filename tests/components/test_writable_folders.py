"""A volume that this user may not write is one sentence, first thing in a step. As root: `nobody` stands in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.progress import step
from components.writable_folders import check_writable, make_folders
from model.errors import ConfigError

ROOT = Path(__file__).parents[2]
SENTENCE = r"cannot be written as \d+:\d+ \(Permission denied\); give the volume to"
NOBODY = 65534


@pytest.fixture
def foreign(tmp_path):
    """A folder that belongs to somebody else; the test goes on as a user without rights."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    for path in (tmp_path, *tmp_path.parents[:3]):
        if path.stat().st_uid == os.geteuid():
            path.chmod(path.stat().st_mode | 0o055)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
        yield folder
        os.seteuid(0)
    else:
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


def test_a_folder_of_our_own_is_left_as_it_was(tmp_path):
    check_writable(tmp_path)
    check_writable(tmp_path / "not" / "yet")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_one_sentence(foreign):
    with pytest.raises(ConfigError, match=SENTENCE):
        check_writable(foreign)
    with pytest.raises(ConfigError, match=SENTENCE):
        make_folders([foreign / "home"])


def test_a_step_asks_before_anything_else(foreign, monkeypatch, capsys):
    monkeypatch.setenv("PINCLIP_HOME", str(foreign / "home"))
    with pytest.raises(ConfigError, match=SENTENCE), step("compare"):
        pytest.fail("the step has begun its work")
    assert "compare  error  /" in capsys.readouterr().out


def test_what_takes_no_file_is_another_sentence():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(ConfigError, match=r"Not a directory\); free space"):
        check_writable(Path("/dev/full"))


def test_the_job_makes_folders_and_says_so(tmp_path):
    folders = [str(tmp_path / name) for name in ("home", "catalogues")]
    command = [sys.executable, "-m", "components.writable_folders", *folders]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"Writable: {', '.join(folders)}\n")
    assert all(Path(folder).is_dir() for folder in folders)
    done = subprocess.run([*command, "/proc/home"], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
