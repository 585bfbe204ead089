"""Packages that are there and do not load: told by name, and a process that dies of one takes no other with it."""

import importlib.util

import pytest

from pipelines.local import import_checks


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ""),
        (
            "raise OSError('libcublasLt.so.13: cannot open\\nshared object file')",
            "ray does not load (OSError: libcublasLt.so.13: cannot open shared object file)",
        ),
        ("import os; os.abort()", "ray ended the process that imports it"),
    ],
)
def test_what_does_not_load_is_named(text, found, tmp_path, monkeypatch):
    (tmp_path / "ray.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert import_checks.problem(["json", "ray", "csv"]) == found


def test_the_list_is_of_what_is_installed():
    assert all(importlib.util.find_spec(name) for name in import_checks.PACKAGES)
