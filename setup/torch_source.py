"""Where torch comes from: the one place that decides it, for `make setup`, the image and CI. Standard library alone.

    python setup/torch_source.py        # prints what to hand to `uv pip install`; what was taken and why goes to stderr

The first that has a wheel of the locked version for this Python and this machine:
    1. a folder that PIP_FIND_LINKS (or UV_FIND_LINKS, or pip's configuration) names
    2. PyTorch's index of the backend: cpu unless TORCH_BACKEND asks for another; PYTORCH_INDEX names a mirror of it
    3. PyPI or its mirror, whose build needs its CUDA libraries on Linux
A backend that was asked for is never silently another.
"""

from __future__ import annotations

import base64
import os
import platform
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
INDEX = "https://download.pytorch.org/whl"
PYPI_BACKEND = "cu130"  # what PyPI's Linux build of the locked version was built for
ANY_GPU = "auto"  # uv looks which GPU there is
PATIENCE = 10.0  # seconds that an index has to answer
WHEEL = re.compile(
    r"torch-(?P<version>[0-9.]+)(?:(?:\+|%2B)(?P<label>\w+))?-(?P<python>cp\d+)-(?P<abi>\w+)-(?P<platform>[\w.]+)\.whl"
)
LARGE = "2.8 GB to download and 4 GB on disk"  # measured, of 3.4 and 7 in all


class NoTorch(Exception):
    """No source has the torch that was asked for; the message is one sentence."""


class Machine(NamedTuple):
    """What a wheel has to fit."""

    version: str  # of torch, as the lock pins it
    python: str = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    system: str = sys.platform
    processor: str = platform.machine()


class Choice(NamedTuple):
    options: list[str]  # for `uv pip install`
    exact: str  # the version that nothing else may replace, e.g. 2.13.0+cpu; "" where uv finds it out
    sentence: str  # what was taken, and why
    cuda: bool  # with the libraries of a GPU

    @property
    def arguments(self) -> list[str]:
        """The options with the one version that may be installed."""
        return [*self.options, f"torch=={self.exact}"] if self.exact else self.options


def choose(environment: Mapping[str, str], machine: Machine) -> Choice:
    """Looks at the sources in their order.

    Raises:
        NoTorch: the backend that was asked for is to be had nowhere.
    """
    backend = environment.get("TORCH_BACKEND") or environment.get("UV_TORCH_BACKEND") or "cpu"
    wanted = "cpu" if backend == ANY_GPU else backend
    places = [*environment.get("PIP_FIND_LINKS", "").split(), *environment.get("UV_FIND_LINKS", "").split(",")]
    places = list(dict.fromkeys(place for place in places if place))
    for place in places if backend != ANY_GPU else []:
        if exact := _fitting(_names(place), wanted, machine):
            return Choice(
                ["--find-links", place], exact, f"torch {exact}: a wheel in {_public(place)}.", wanted != "cpu"
            )
    if machine.system != "linux":
        return Choice([], "", f"torch {machine.version}: PyPI's build, the only one for {machine.system}.", False)
    index = environment.get("PYTORCH_INDEX", INDEX).rstrip("/")
    page = f"{index}/{wanted}/torch/"
    why = f"no wheel for {wanted} and {machine.python} in {', '.join(map(_public, places))}; " if places else ""
    if exact := _fitting(_names(page), wanted, machine):
        options = ["--torch-backend", backend] if index == INDEX else ["--find-links", page]
        exact = "" if backend == ANY_GPU else exact
        said = f"torch {exact or backend}: PyTorch's index ({why}{_public(page)})."
        return Choice(options, exact, said, backend != "cpu")
    why += f"{_public(page)} does not answer, or has none"
    if backend not in ("cpu", ANY_GPU, PYPI_BACKEND):
        raise NoTorch(
            f"There is no torch for TORCH_BACKEND={backend} ({why}); put its wheel into a folder and name it, "
            "PIP_FIND_LINKS=/folder, or leave TORCH_BACKEND out."
        )
    advice = "" if backend == PYPI_BACKEND else "; a CPU wheel in a folder that PIP_FIND_LINKS names makes it 0.2 GB"
    return Choice(
        [],
        machine.version,
        f"torch {machine.version}: PyPI's build for {PYPI_BACKEND}, which runs on a CPU too, with all its CUDA "
        f"libraries, {LARGE} ({why}{advice}).",
        True,
    )


def locked_version(lock: Path = LOCK) -> str:
    return re.findall(r"(?m)^torch==([0-9.]+)", lock.read_text(encoding="utf-8"))[0]


def _fitting(names: Sequence[str], backend: str, machine: Machine) -> str:
    """The exact version of a wheel among the names that fits, "" where none does; one without a label is PyPI's."""
    system = {"darwin": "macosx"}.get(machine.system, machine.system)
    unlabelled = PYPI_BACKEND if machine.system == "linux" else "cpu"
    for name in names:
        found = WHEEL.fullmatch(name)
        if (
            found
            and found["version"] == machine.version
            and found["python"] == found["abi"] == machine.python
            and (found["label"] or unlabelled) == backend
            and system in found["platform"]
            and found["platform"].endswith(machine.processor)
        ):
            return machine.version + (f"+{found['label']}" if found["label"] else "")
    return ""


def _names(place: str) -> list[str]:
    """The names of the wheels in a folder, or on a page that links to them; none where there is no such place."""
    if place.startswith(("http://", "https://")):
        try:
            with urllib.request.urlopen(_with_password(place), timeout=PATIENCE) as page:
                text = page.read().decode("utf-8", "replace")
        except (OSError, ValueError):
            return []
        return [found[0] for found in WHEEL.finditer(text)]
    folder = Path(urllib.parse.unquote(place[len("file://") :]) if place.startswith("file://") else place)
    return [path.name for path in folder.glob("torch-*.whl")]


def _public(place: str) -> str:
    """An address without its user and password, for what is printed and kept."""
    return re.sub(r"//[^/@\s]*@", "//…@", place)


def _with_password(address: str) -> urllib.request.Request:
    """urllib takes a user and a password in a header alone, pip and uv in the address."""
    parts = urllib.parse.urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    request = urllib.request.Request(urllib.parse.urlunsplit(parts._replace(netloc=host)))
    if user:
        code = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {code}")
    return request


if __name__ == "__main__":
    try:
        choice = choose(os.environ, Machine(locked_version()))
    except NoTorch as error:
        sys.exit(str(error))
    print(choice.sentence, file=sys.stderr)
    print(*choice.arguments)
