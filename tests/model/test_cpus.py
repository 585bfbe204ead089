"""The CPUs of a process are those of its container."""

import os

import pytest

from model.cpus import cpus


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("max 100000\n", 3),
        ("100000 100000\n", 1),
        ("50000 100000\n", 1),  # half a CPU
        ("150000 100000\n", 2),
        ("6400000 100000\n", 3),  # a limit above what the machine has
        ("", 3),
    ],
)
def test_a_container_has_its_limit(tmp_path, monkeypatch, written, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2})
    (tmp_path / "cpu.max").write_text(written)
    assert cpus(tmp_path / "cpu.max") == expected


def test_outside_of_one_it_has_what_it_may_run_on(tmp_path):
    assert cpus(tmp_path / "none") == len(os.sched_getaffinity(0))
