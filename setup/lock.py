"""Resolves requirements.lock from the floors of pyproject.toml, one for every Python and system; `make lock` calls it.

    .venv/bin/python setup/lock.py              # what is locked stays where a floor does not move it
    .venv/bin/python setup/lock.py --upgrade    # all of it anew

torch stands there with its version alone, so that a wheel of any origin fits, and what its CUDA build needs stands
nowhere: torch names it exactly, and setup/install.py lets uv follow.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
OF_CUDA = re.compile(r"(nvidia|cuda|triton)\b")


def main() -> None:
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", "pyproject.toml", "--extra", "dev", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-header", "--quiet", "--no-emit-find-links", *sys.argv[1:], "-o", str(LOCK)]
    subprocess.run(command, cwd=ROOT, check=True)
    LOCK.write_text(portable(LOCK.read_text(encoding="utf-8")), encoding="utf-8")


def portable(lock: str) -> str:
    """The lock without CUDA's libraries, and torch without hashes or a local version."""
    packages = [package for package in re.split(r"(?m)^(?=\w)", lock) if not OF_CUDA.match(package)]
    return "".join(_bare(package) if package.startswith("torch==") else package for package in packages)


def _bare(torch: str) -> str:
    torch = re.sub(r"(?m)^    --hash.*\n", "", torch)
    return re.sub(r"^torch==([0-9.]+).*", r"torch==\1", torch)


if __name__ == "__main__":
    main()
