"""A Ray of our own on a machine that is too busy to start it at once. What it does once it runs: distributed/."""

import platform
import tempfile
from pathlib import Path

import pytest
import ray

from components.ray.cluster import LONGEST, RAY_FOLDER, STARTS, check_versions, ray_cluster, ray_folder
from model.errors import RunError


@pytest.fixture
def busy(monkeypatch):
    """Call with a number: so many starts come to nothing, as Ray says it; the list tells which settings were tried."""
    tried = []

    def starts(in_vain: int) -> list[dict]:
        def init(**settings):
            tried.append(settings)
            if len(tried) <= in_vain:
                raise Exception("The current node timed out during startup. This could happen because")

        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        monkeypatch.setattr(ray, "init", init)
        return tried

    return starts


def test_it_is_tried_again(busy):
    tried = busy(STARTS - 1)
    with ray_cluster(places=2) as places:
        assert (places, len(tried)) == (2, STARTS)


def test_at_last_it_is_one_sentence(busy):
    tried = busy(STARTS)
    with pytest.raises(RunError, match=r"^Ray did not start \(The current .* startup\); close what else keeps"):
        ray_cluster(places=2).__enter__()
    assert len(tried) == STARTS


@pytest.mark.parametrize("length", [25, 26, 102])
def test_however_long_tmpdir_is_the_folder_is_short_and_what_spills_stays_in_tmpdir(length, busy, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as root:
        long = Path(root) / ("x" * (length - len(root) - 1))
        long.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(long))
        monkeypatch.delenv(RAY_FOLDER, raising=False)
        tried = busy(0)
        with ray_cluster(places=1):
            folder = tried[0]["_temp_dir"]
            assert len(folder) <= LONGEST
            assert Path(folder).is_dir()
        assert not Path(folder).exists()
        assert tried[0].get("object_spilling_directory", str(long)) == str(long)


def test_a_given_folder_is_taken_or_refused(monkeypatch, tmp_path):
    monkeypatch.setenv(RAY_FOLDER, "/tmp")
    with ray_folder() as folder:
        assert folder == "/tmp"
    monkeypatch.setenv(RAY_FOLDER, f"/tmp/{'x' * 60}")
    with pytest.raises(RunError, match=r"^RAY_TMPDIR is too long for Ray's sockets \(65 characters, 38 at most\)"):
        ray_folder().__enter__()


@pytest.mark.parametrize(("part", "what"), [("python_version", "Python"), ("ray_version", "Ray")])
def test_another_version_is_refused_before_ray_would(part, what):
    ours = {"python_version": platform.python_version(), "ray_version": ray.__version__, "git_commit": "abc"}
    check_versions(ours)
    check_versions({})
    with pytest.raises(RunError, match=rf"^The Ray cluster of RAY_ADDRESS has {what} 3\.9\.1 and this machine "):
        check_versions(ours | {part: "3.9.1"})
