"""Set-up's judgement: which Python, whether an environment is whole, and its failures as one sentence each."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "setup"))
import install  # noqa: E402
from error_messages import SetupError, sentence  # noqa: E402
from torch_source import Choice  # noqa: E402


def found_python(home: Path, path: Path, asked: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": f"{path}:/usr/bin:/bin"}
    command = ["sh", str(ROOT / "setup" / "python.sh"), asked]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def python(place: Path, version: str) -> Path:
    """A program that answers as a Python of that version would; as a shim of pyenv's that does not run for ""."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fits = (3, 11) <= tuple(map(int, version.split("."))) <= (3, 13) if version else False
    place.write_text(f"#!/bin/sh\necho {place}\n" if fits else "#!/bin/sh\nexit 1\n")
    place.chmod(0o755)
    return place


def test_a_name_on_the_path_proves_nothing(tmp_path):
    """python3.11 is a shim that does not run; pyenv's folder has a 3.12 that does."""
    for name in ("python3.11", "python3.12", "python3.13", "python3", "python"):
        python(tmp_path / "shims" / name, "")
    real = python(tmp_path / ".pyenv" / "versions" / "3.12.1" / "bin" / "python", "3.12")
    for asked in ("", "python3.12"):
        assert found_python(tmp_path, tmp_path / "shims", asked).stdout.split() == [str(real)]


def test_the_first_that_fits_is_taken_and_another_is_refused(tmp_path):
    python(tmp_path / "bin" / "python3.11", "")
    newer = python(tmp_path / "bin" / "python3.13", "3.13")
    python(tmp_path / "bin" / "python3.14", "3.14")
    assert found_python(tmp_path, tmp_path / "bin", "python3.13").stdout.split() == [str(newer)]
    refused = found_python(tmp_path, tmp_path / "bin", "python3.14")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "PYTHON=python3.14 is no Python 3.11, 3.12 or 3.13 that runs; name another, or leave PYTHON out.\n"
    )


def written(**other: str) -> str:
    return json.dumps(install.wanted_choices() | {"packages": ["ray-2.60.0"]} | other)


@pytest.fixture
def stamp(tmp_path, monkeypatch) -> Path:
    """Of an environment that was made a moment ago."""
    for name in ("PYTHON", "TORCH_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "lib" / "python3.11" / "site-packages" / "ray-2.60.0.dist-info").mkdir(parents=True)
    (tmp_path / ".installed").write_text(written())
    return tmp_path / ".installed"


def test_a_whole_environment_is_left_alone(stamp):
    assert install.is_whole(stamp)


@pytest.mark.parametrize("change", ["digest", "root"])
def test_another_lock_or_place_is_noticed(stamp, change):
    stamp.write_text(written(**{change: "another"}))
    assert not install.is_whole(stamp)


def test_what_is_asked_for_is_never_silently_another(stamp, monkeypatch):
    monkeypatch.setenv("TORCH_BACKEND", "cu130")
    assert not install.is_whole(stamp)
    stamp.write_text(written())
    monkeypatch.delenv("TORCH_BACKEND")
    assert install.is_whole(stamp)
    stamp.write_text(written(python="3.9"))
    assert install.is_whole(stamp)
    monkeypatch.setenv("PYTHON", "python3.11")
    assert not install.is_whole(stamp)


def test_a_package_that_was_replaced_or_removed_is_noticed(stamp):
    """By pip or `uv sync`; what the user adds is theirs."""
    packages = stamp.parent / "lib" / "python3.11" / "site-packages"
    (packages / "ipython-9.0.dist-info").mkdir()
    assert install.is_whole(stamp)
    (packages / "ray-2.60.0.dist-info").rename(packages / "ray-2.61.0.dist-info")
    assert not install.is_whole(stamp)


def test_half_an_environment_is_none(stamp):
    stamp.write_text("")
    assert not install.is_whole(stamp)
    stamp.write_text(written())
    (stamp.parent / "bin" / "python").unlink()
    assert not install.is_whole(stamp)


def test_what_is_there_already_need_not_be_free(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    cpu = Choice([], "2.13.0+cpu", "", False)
    with pytest.raises(SetupError, match=r"has 1\.0 GiB free and 3\.5 are needed"):
        install.check_disk(tmp_path, cpu)
    with (tmp_path / "installed").open("wb") as file:
        file.truncate(3 * 2**30)
    install.check_disk(tmp_path, cpu)


def test_a_package_that_was_half_installed_is_installed_again(tmp_path):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    for name, files in {"ray-2.60.0": "METADATA RECORD INSTALLER", "kfp-2": "METADATA RECORD", "dvc-3": ""}.items():
        (packages / f"{name}.dist-info").mkdir(parents=True)
        for file in files.split():
            (packages / f"{name}.dist-info" / file).touch()
    install.remove_half_installed(tmp_path)
    assert install.installed_packages(tmp_path) == {"ray-2.60.0"}


def test_a_folder_that_is_no_environment_is_not_removed(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(SetupError, match=r"is there and is no virtual environment; move it away"):
        install.make_environment(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_what_leads_packages_astray_is_left_out(monkeypatch):
    for name in ("PIP_TARGET", "PIP_USER", "PIP_NO_BINARY", "UV_REQUIRE_HASHES", "UV_SYSTEM_PYTHON"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example.org/simple")
    here = install.describe_python(Path(sys.executable))
    assert not here.keys() & {"PIP_TARGET", "PIP_USER", "PIP_NO_BINARY", "UV_REQUIRE_HASHES", "UV_SYSTEM_PYTHON"}
    assert here["PIP_CONFIG_FILE"] == os.devnull  # which may say `user = true`, or a target
    assert here["UV_DEFAULT_INDEX"] == here["PIP_INDEX_URL"] == "https://mirror.example.org/simple"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "error: Failed to fetch: `https://me:pw@mirror/simple/torch/`\n  Caused by: dns error",
            "https://…@mirror/simple/torch/ does not answer; check the network, or name your mirror: PIP_INDEX_URL=",
        ),
        ("ERROR: Could not find … [Errno 111] Connection refused'))", "the package index does not answer; check"),
        (
            "× No solution found:\n ╰─▶ Because there is no version of ray[data]==2.60.0 and you require ray",
            "the package index lacks ray[data]==2.60.0; have your mirror fetch it",
        ),
        ("ERROR: No matching distribution found for uv==0.13.8", "index lacks uv==0.13.8; have your mirror"),
        (
            "ERROR: Could not find it (from versions: none)\nERROR: No matching distribution found for uv==0.13.8",
            "index does not answer, or lacks uv==0.13.8; have your mirror",
        ),
        ("WARNING: Retrying (Retry(total=4)) after connection broken by 'ProxyError('", "does not answer; check the"),
        ("Because kfp was not found in the package registry and you require kfp", "lacks kfp; have your mirror"),
        ("failed to copy: No space left on device (os error 28)", "is full; free some and give the command again"),
        ("something nobody has seen", "(something nobody has seen); see above"),
    ],
)
def test_pages_of_explanation_become_a_sentence(said, told, tmp_path):
    text = sentence("The packages could not be installed", said, tmp_path)
    assert told in text
    assert text.startswith("The packages could not be installed")
    assert "\n" not in text
    assert "pw@" not in text


def test_python_without_venv_names_the_package():
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    assert f"install the package {name}" in install.explain_missing_venv("ensurepip is not\navailable.", Path("/x"))
