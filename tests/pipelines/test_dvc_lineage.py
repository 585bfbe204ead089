"""The catalogue's md5, against files that the real DVC wrote."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.dvc_lineage import dvc_md5

LOCK = """
schema: '2.0'
stages:
  other:
    cmd: make other
  catalogue:
    cmd: make catalogue
    outs:
    - path: catalogues/generated
      hash: md5
      md5: 53b12cdb25448a2c384da8eeaa857f53.dir
      size: 3
      nfiles: 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two files and three bytes."""
    pins = tmp_path / "catalogues/generated/pins"
    pins.mkdir(parents=True)
    (pins / "00000.parquet").write_text("ab")
    (pins / "00001.parquet").write_text("c")
    return pins.parent


def test_the_pointer_that_dvc_add_writes_is_read(folder):
    for arguments in (["init", "-q", "--no-scm"], ["add", "-q", "catalogues/generated"]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=folder.parents[1], check=True, timeout=60)
    md5 = dvc_md5(folder)
    assert md5
    assert md5.endswith(".dir")
    assert f"md5: {md5}" in folder.with_name("generated.dvc").read_text()


def test_a_stages_output_is_found_in_the_lock_above(folder, monkeypatch):
    (folder.parents[1] / "dvc.lock").write_text(LOCK)
    assert dvc_md5(folder) == "53b12cdb25448a2c384da8eeaa857f53.dir"
    monkeypatch.chdir(folder.parent)
    assert dvc_md5(Path("generated")) == "53b12cdb25448a2c384da8eeaa857f53.dir"


def test_a_folder_that_changed_since_has_none(folder):
    (folder.parents[1] / "dvc.lock").write_text(LOCK)
    (folder / "pins/00002.parquet").write_text("d")
    assert dvc_md5(folder) is None


def test_a_folder_that_dvc_does_not_know_has_none(folder):
    assert dvc_md5(folder) is None
    (folder.parents[1] / "dvc.lock").write_text(LOCK)
    assert dvc_md5(folder.parent) is None
