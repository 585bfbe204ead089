"""Lineage: the commit, with changes told apart, and one name for the same inputs."""

import subprocess
from pathlib import Path

import pytest

from components.configuration import load
from pipelines.lineage import git_revision, run_identity


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "code.py").write_text("1\n")
    git("init")
    git("add", "code.py")
    git("commit", "-m", "first")
    return tmp_path


def test_a_clean_tree_is_its_commit(checkout):
    revision = git_revision(checkout)
    assert len(revision) == 40
    assert (checkout / "untracked").write_text("x")
    assert git_revision(checkout) == revision


def test_changes_are_told_apart(checkout):
    clean = git_revision(checkout)
    found = []
    for text in ("2\n", "3\n"):
        (checkout / "code.py").write_text(text)
        found.append(git_revision(checkout))
    assert all(revision.startswith(f"{clean}-dirty-") for revision in found)
    assert found[0] != found[1]


def test_outside_a_checkout_there_is_none(tmp_path):
    assert git_revision(tmp_path) == ""


def test_the_same_inputs_have_one_name():
    origin = {"git_rev": "abc", "catalogue_digest": "123", "catalogue": "/a"}
    name = run_identity(load("smoke"), origin)
    assert name.startswith("smoke-")
    assert run_identity(load("smoke"), origin | {"catalogue": "/elsewhere"}) == name
    assert run_identity(load("smoke", ["monitoring.pins=9", "promotion.recall_queries=9"]), origin) == name
    others = [
        run_identity(load("smoke", ["seed=1"]), origin),
        run_identity(load("smoke", ["gate.min_retention=0.5"]), origin),
        run_identity(load("smoke"), origin | {"git_rev": "abd"}),
        run_identity(load("smoke"), origin | {"catalogue_digest": "124"}),
    ]
    assert len({name, *others}) == 5


@pytest.mark.parametrize(
    "name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"]
)
def test_variables_of_another_repository_lead_nowhere(checkout, name, monkeypatch):
    clean = git_revision(checkout)
    (checkout / "code.py").write_text("2\n")
    changed = git_revision(checkout)
    monkeypatch.setenv(name, str(checkout / "elsewhere"))
    assert git_revision(checkout) == changed != clean


def test_the_users_own_diff_changes_nothing(checkout, monkeypatch):
    (checkout / "code.py").write_text("2\n")
    changed = git_revision(checkout)
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    assert git_revision(checkout) == changed
