"""Nothing half-written is ever read: on an error the old file or folder stays, whole."""

import json
import os
import subprocess
import sys

import pytest

from model import files
from model.files import remove, replaced, write_json, write_text


def test_a_new_file_and_a_new_folder(tmp_path):
    with replaced(tmp_path / "deep" / "down" / "file") as scratch:
        scratch.write_text("new")
        assert not (tmp_path / "deep" / "down" / "file").exists()
    with replaced(tmp_path / "folder") as scratch:
        scratch.mkdir()
        (scratch / "inside").write_text("new")
    assert (tmp_path / "deep" / "down" / "file").read_text() == "new"
    assert (tmp_path / "folder" / "inside").read_text() == "new"


def test_the_old_is_there_until_the_new_is_whole(tmp_path):
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_text("old")
    folder.mkdir()
    (folder / "old").touch()
    with replaced(file) as scratch, replaced(folder) as scratch_folder:
        scratch.write_text("new")
        scratch_folder.mkdir()
        assert file.read_text() == "old"
        assert (folder / "old").exists()
    assert file.read_text() == "new"
    assert list(folder.iterdir()) == []  # nothing of the old is mixed in
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_an_error_leaves_everything_as_it_was(tmp_path, kind):
    path = tmp_path / "it"
    if kind == "file":
        path.write_text("old")
    if kind == "folder":
        path.mkdir()
        (path / "old").write_text("old")
    with pytest.raises(ZeroDivisionError), replaced(path) as scratch:
        scratch.mkdir()
        (scratch / "half").touch()
        raise ZeroDivisionError
    assert [p.name for p in tmp_path.iterdir()] == ([] if kind == "nothing" else ["it"])
    if kind != "nothing":
        assert (path if kind == "file" else path / "old").read_text() == "old"


def test_what_a_killed_process_of_this_number_left_is_swept(tmp_path):
    left = tmp_path / f".file.{files.process_namespace()}{os.getpid()}.partial"
    left.mkdir()
    (left / "half").touch()
    write_text(tmp_path / "file", "Grüße 🍵")
    assert (tmp_path / "file").read_bytes().decode() == "Grüße 🍵"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


KILLED = """
import os, signal, sys
from pathlib import Path
from model.files import replaced
with replaced(Path(sys.argv[1])) as scratch:
    scratch.mkdir()
    (scratch / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.skipif(not files.process_namespace(), reason="the system does not say which processes share their numbers")
def test_what_a_killed_process_left_is_swept_by_the_next(tmp_path):
    for _ in range(2):
        subprocess.run([sys.executable, "-c", KILLED, tmp_path / "folder"], check=False)
    assert len(names(tmp_path)) == 1  # the second swept what the first left
    others = [".folder.99.partial", ".folder.12345678-99.partial", f".else.{files.process_namespace()}99.partial"]
    alive = f".folder.{files.process_namespace()}{os.getppid()}.partial"
    for name in [*others, alive]:
        (tmp_path / name).touch()
    with replaced(tmp_path / "folder") as scratch:
        scratch.mkdir()
    assert names(tmp_path) == sorted([*others, alive, "folder"])


@pytest.mark.skipif(not files.process_namespace(), reason="the system does not say which processes share their numbers")
def test_killed_between_the_two_renames_the_old_is_still_there(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    retired = tmp_path / f".folder.{files.process_namespace()}{dead.pid}.retired"
    retired.mkdir()
    (retired / "old").touch()
    with pytest.raises(ZeroDivisionError), replaced(tmp_path / "folder"):
        raise ZeroDivisionError
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["old"]


def test_json_ends_with_a_line_end(tmp_path):
    write_json(tmp_path / "x.json", {"a": [1, None]})
    text = (tmp_path / "x.json").read_text()
    assert json.loads(text) == {"a": [1, None]}
    assert text.endswith("}\n")


def test_remove(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("folder", "link", "dangling", "never there"):
        remove(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
