"""Makes the virtual environment of `make setup`: the locked packages, the torch of setup/torch_source.py, this project.

A half-made environment is never taken for a whole one: `.installed` in it is written last, after the packages were
imported and have multiplied two matrices, and says what was installed. Broken off, it goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from error_messages import GIB, SetupError, sentence
from indexes import indexes
from torch_source import Choice, Machine, NoTorch, choose, locked_version

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
SOURCES = (LOCK, ROOT / "pyproject.toml", *sorted((ROOT / "setup").glob("*.py")))
NEEDED = {False: 3.5, True: 9.0}  # GiB on disk, without and with CUDA's libraries; 2.8 and 6.5 were measured
# Settings of pip and uv that would put packages somewhere else, or others.
MISLEADING = {
    "PIP": "TARGET PREFIX ROOT USER PYTHON REQUIRE_HASHES CONSTRAINT REQUIREMENT EDITABLE NO_DEPS NO_BINARY DRY_RUN",
    "UV": "TORCH_BACKEND FIND_LINKS PYTHON SYSTEM_PYTHON REQUIRE_HASHES CONSTRAINT OVERRIDE EXCLUDE RESOLUTION "
    "PRERELEASE EXCLUDE_NEWER NO_BINARY NO_EDITABLE PROJECT WORKING_DIR",
}


def main() -> None:
    venv = Path(os.environ.get("PINCLIP_VENV") or ROOT / ".venv").absolute()
    stamp = venv / ".installed"
    if is_whole(stamp):
        print(f"{venv} is whole: nothing to do.")
        return
    stamp.unlink(missing_ok=True)
    python = make_environment(venv)
    here = describe_python(python)
    os.environ.update({name: here[name] for name in ("SSL_CERT_FILE", "HTTPS_PROXY") if name in here})  # for `choose`
    choice = choose(os.environ | here, Machine(locked_version(LOCK)))
    print(f"Installing {choice.sentence}", flush=True)
    check_disk(venv, choice)
    _uv(python, here)
    _install(venv, here, choice)
    _check_imports(python)
    said = wanted_choices() | {"torch": choice.sentence, "packages": sorted(installed_packages(venv))}
    stamp.write_text(json.dumps(said), encoding="utf-8")
    print(f"{venv} is ready.")


def describe_python(python: Path) -> dict[str, str]:
    """The environment of pip and uv: the user's mirror and proxy, and nothing that leads packages astray."""
    misleading = {f"{tool}_{name}" for tool, names in MISLEADING.items() for name in names.split()}
    kept = {name: value for name, value in os.environ.items() if name not in misleading}
    return kept | indexes(str(python), kept) | {"PIP_CONFIG_FILE": os.devnull}


def wanted_choices() -> dict[str, str]:
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in SOURCES)).hexdigest()
    asked = {"digest": digest, "root": str(ROOT), "python": ".".join(map(str, sys.version_info[:2]))}
    return asked | {"backend": os.environ.get("TORCH_BACKEND", "")}


def is_whole(stamp: Path) -> bool:
    """An environment of another Python or backend is not what was asked for; where nothing is asked, any will do.

    Every package must be there as it was installed, for pip and `uv sync` change an environment too; more may be.
    """
    try:
        found = json.loads(stamp.read_text(encoding="utf-8"))
        subprocess.run([stamp.parent / "bin" / "python", "-c", ""], check=True, capture_output=True)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return False
    if not installed_packages(stamp.parent) >= set(found.get("packages", [""])):
        return False
    wanted = wanted_choices()
    free = {name for name, asked in (("python", "PYTHON"), ("backend", "TORCH_BACKEND")) if not os.environ.get(asked)}
    return all(found.get(name) == value for name, value in wanted.items() if name not in free)


def installed_packages(venv: Path) -> set[str]:
    """Name and version of each, e.g. ray-2.60.0."""
    return {path.stem for path in venv.glob("lib/python3*/site-packages/*.dist-info")}


def make_environment(venv: Path) -> Path:
    """The environment's Python; an environment of another version is made anew."""
    python = venv / "bin" / "python"
    ask = "import pip, sys; print(*sys.version_info[:2], sep='.')"  # an environment of uv's own has no pip
    known = subprocess.run([python, "-c", ask], capture_output=True, text=True) if python.exists() else None
    if known is None or known.stdout.strip() != ".".join(map(str, sys.version_info[:2])):
        if venv.is_dir() and any(venv.iterdir()) and not (venv / "pyvenv.cfg").is_file():
            raise SetupError(
                f"{venv} is there and is no virtual environment; move it away, and give the command again."
            )
        shutil.rmtree(venv, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", str(venv)], capture_output=True, text=True)
        if made.returncode:
            shutil.rmtree(venv, ignore_errors=True)
            raise SetupError(explain_missing_venv(made.stdout + made.stderr, venv))
    return python


def _uv(python: Path, environment: dict[str, str]) -> None:
    """The locked uv."""
    if _runs(python.with_name("uv")):
        return
    version = re.findall(r"(?m)^uv==([0-9.]+)", LOCK.read_text(encoding="utf-8"))[0]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"uv=={version}"]
    got = subprocess.run(pip, env=environment, capture_output=True, text=True)
    if got.returncode:
        raise SetupError(sentence(f"uv {version} could not be installed", got.stderr, python.parents[1]))


def _runs(uv: Path) -> bool:
    return uv.exists() and subprocess.run([str(uv), "--version"], capture_output=True).returncode == 0


def explain_missing_venv(said: str, venv: Path) -> str:
    if "ensurepip" in said or "No module named venv" in said:
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        return f"{sys.executable} cannot make virtual environments; install the package {name} (apt install {name})."
    return sentence(f"{venv} could not be made", said, venv)


def check_disk(venv: Path, choice: Choice) -> None:
    """What is installed already need not be free."""
    free = shutil.disk_usage(venv).free / GIB
    there = sum(path.lstat().st_size for path in venv.rglob("*")) / GIB
    if free + there < (needed := NEEDED[choice.cuda]):
        raise SetupError(f"The disk of {venv} has {free:.1f} GiB free and {needed - there:.1f} are needed; free some.")


def _install(venv: Path, environment: dict[str, str], choice: Choice) -> None:
    """The lock and what PyPI's torch brings besides, exactly; then this project, editable."""
    into = [str(venv / "bin" / "uv"), "pip", "install", "--python", str(venv / "bin" / "python")]
    quiet = [] if sys.stderr.isatty() else ["--quiet"]  # a terminal shows what is downloaded, and how much is left
    packages = [*into, *quiet, "--exact", "-r", str(LOCK), *choice.arguments]
    project = [*into, "--quiet", "--no-deps", "--editable", str(ROOT)]
    for command in (packages, project):
        remove_half_installed(venv)
        if subprocess.run(command, env=environment).returncode:
            remove_half_installed(venv)
            again = subprocess.run(
                command, env=environment, capture_output=True, text=True
            )  # the first told the terminal
            if again.returncode:
                raise SetupError(sentence("The packages could not be installed", again.stderr, venv))


def remove_half_installed(venv: Path) -> None:
    """Takes away what an install that was broken off says of packages whose files are not all there.

    uv would take one for installed, or fail to read of it; INSTALLER is what it writes after a package's own files.
    """
    for folder in venv.glob("lib/python3*/site-packages/*.dist-info"):
        if not all((folder / name).is_file() for name in ("METADATA", "RECORD", "INSTALLER")):
            shutil.rmtree(folder)


def _check_imports(python: Path) -> None:
    print("Importing what was installed …", flush=True)
    done = subprocess.run(
        [str(python), "-m", "pipelines.local.import_checks"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        said = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1]
        raise SetupError(f"The environment is broken: {said}; remove {python.parents[1]} and give the command again.")


if __name__ == "__main__":
    try:
        main()
    except (SetupError, NoTorch) as error:
        print(f"setup: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("setup: stopped; give the command again, it goes on where it was.", file=sys.stderr)
        sys.exit(130)
