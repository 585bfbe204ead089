"""`pinclip doctor`: is this machine ready for a run with these settings? A table of what was found and what to do."""

import os
import platform
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from components.server_checks import answering
from components.settings import Settings
from model.config import Config
from model.cpus import cpus
from model.errors import RunError, StoreError
from pipelines.lineage import CODE, git_revision
from pipelines.local import import_checks
from pipelines.local.devices import Devices, devices
from pipelines.local.ports import MLFLOW, is_free

PYTHON = ((3, 11), (3, 13))  # the first and the last that the lock is for
GIB = 2**30
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@dataclass(frozen=True)
class Check:
    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    advice: str = ""  # what to do; empty where nothing


def examine(config: Config, more: Iterable[Check] = ()) -> bool:
    """Prints the table, `more` after this machine's; False when something will keep a run from working."""
    checks = [*all_checks(config), *more]
    table = Table("", "check", "found", "what to do", box=None, padding=(0, 2))
    for check in checks:
        state = f"[{COLOURS[check.state]}]{check.state}[/]"
        table.add_row(state, check.name, check.found, check.advice)
    Console().print(table)
    return all(check.state != "fail" for check in checks)


def all_checks(config: Config) -> Iterator[Check]:
    settings = Settings()
    home = settings.home
    yield python(sys.version_info[:3])
    yield packages()
    yield check_lock(CODE / "requirements.lock")
    yield imports(import_checks.problem())
    yield from device(config, devices())
    yield ray_cpus(config, cpus())
    yield check_free(
        "memory", memory_bytes() / GIB, warn=6, fail=3, advice="close other programs, or use a larger machine"
    )
    yield check_free(
        "disk", shutil.disk_usage(_existing(home)).free / GIB, warn=5, fail=1, advice="free space on this disk"
    )
    yield writable(home)
    yield writable(Path.cwd())
    yield port(MLFLOW)
    yield git()
    yield servers(settings)


def python(version: tuple[int, ...]) -> Check:
    found = ".".join(map(str, version))
    if PYTHON[0] <= version[:2] <= PYTHON[1]:
        return Check("Python", "ok", found)
    first, last = (".".join(map(str, one)) for one in PYTHON)
    return Check("Python", "fail", found, f"make the environment with Python {first} to {last}")


def servers(settings: Settings) -> Check:
    try:
        found = ", ".join(answering(settings))
    except (StoreError, RunError) as error:
        wrong, _, advice = str(error).partition("; ")
        return Check("servers", "fail", wrong, advice.rstrip("."))
    return Check("servers", "ok", f"{found} answer" if found else f"none: all state is in {settings.home}")


def packages() -> Check:
    """The floors of pyproject.toml, as the installed project's metadata repeats them."""
    floors = [Requirement(line) for line in metadata.requires("pinclip") or ()]
    floors = [floor for floor in floors if floor.marker is None]
    wrong = [problem for floor in floors if (problem := _unmet(floor))]
    if wrong:
        return Check("packages", "fail", "; ".join(wrong), "make setup")
    return Check("packages", "ok", f"{len(floors)} floors met")


def _unmet(floor: Requirement) -> str:
    try:
        found = metadata.version(floor.name)
    except metadata.PackageNotFoundError:
        return f"{floor.name} is missing"
    return "" if floor.specifier.contains(found, prereleases=True) else f"{floor.name} {found} is not {floor.specifier}"


def check_lock(lock: Path) -> Check:
    """Other versions than the lock's may work; they are just not the ones that were tested together."""
    if not lock.is_file():
        return Check("lock", "warn", "no requirements.lock", "run from a checkout, or ignore this in an image")
    pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    installed = {dist.name.lower().replace("_", "-"): dist.version.split("+")[0] for dist in metadata.distributions()}
    other = [name for name, version in pins if installed.get(name.lower(), version) != version]
    if other:
        return Check("lock", "warn", f"{len(other)} of {len(pins)} differ: {', '.join(other[:4])}", "make setup")
    return Check("lock", "ok", f"{len(pins)} packages as locked")


def imports(problem: str) -> Check:
    """Checks that the packages load: an installed package may still lack a library."""
    if problem and set(os.environ.get("PYTHONPATH", "").split(os.pathsep)) - {"", str(CODE)}:
        return Check("imports", "fail", problem, "unset PYTHONPATH, whose modules come before the environment's")
    if problem:
        return Check("imports", "fail", problem, "remove .venv, then make setup")
    return Check(
        "imports", "ok", f"{', '.join(import_checks.PACKAGES[:4])} and {len(import_checks.PACKAGES) - 4} more load"
    )


def device(config: Config, found: Devices | None) -> Iterator[Check]:
    """What training, embedding and the encoder service will compute on; nothing where torch does not load."""
    if found is None:
        return
    gpus, workers = Counter(found.gpus), config.train.workers
    if not gpus and found.driver:
        advice = "update the driver" if found.cuda else "make setup TORCH_BACKEND=cu130"
        yield Check("device", "warn", f"the CPU: torch {found.torch} does not see this machine's GPU", advice)
    elif not gpus:
        yield cpu(found)
    elif workers > gpus.total():
        advice = f"--set train.workers={gpus.total()}"
        yield Check("device", "warn", f"the CPU: {workers} workers train, and GPUs are {gpus.total()}", advice)
    else:
        names = ", ".join(f"{count} × {name}" for name, count in gpus.items())
        slowest = "every step waits for the slowest of them" if len(gpus) > 1 and workers > 1 else ""
        yield Check("device", "ok", f"{names}, by torch {found.torch}; {workers} of them train", slowest)


def cpu(found: Devices) -> Check:
    """Without AVX2 everything runs: torch, BLAS and faiss then compute number by number."""
    if found.vectors == "DEFAULT" and platform.machine() in ("x86_64", "AMD64"):
        advice = "nothing, if you can wait: training, evaluation and searches take several times as long"
        return Check("device", "warn", f"the CPU, by torch {found.torch}, without AVX2", advice)
    return Check("device", "ok", f"the CPU, by torch {found.torch}")


def ray_cpus(config: Config, cpus: int) -> Check:
    """Ray Train takes a CPU beside several workers'; with fewer, workers share them: slower, and it works."""
    if config.train.workers == 1:  # in the step's own process (components/ray/training.py)
        if cpus == 1:
            return Check("CPUs", "warn", "1; a run works", "nothing, if you can wait")
        return Check("CPUs", "ok", f"{cpus}; one training uses all of them")
    needed = config.train.workers * config.train.cpus_per_worker + 1
    found = f"{cpus}; {config.train.workers} Ray workers and their driver take {needed}"
    if needed <= cpus:
        return Check("CPUs", "ok", found)
    fitting = max((cpus - 1) // config.train.cpus_per_worker, 1)
    return Check("CPUs", "warn", found, f"--set train.workers={fitting}, or wait: it works, only slower")


def memory_bytes() -> int:
    """Available memory, or what the container's limit leaves of it."""
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo, limit = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")
    if meminfo.is_file():
        found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), flags=re.MULTILINE)
        available = int(found[1]) * 1024 if found else available
    if limit.is_file() and limit.read_text().strip().isdigit():
        available = min(available, int(limit.read_text()))
    return available


def check_free(name: str, gib: float, warn: float, fail: float, advice: str) -> Check:
    if gib >= warn:
        return Check(name, "ok", f"{gib:.1f} GiB free")
    return Check(name, "fail" if gib < fail else "warn", f"{gib:.1f} GiB free, {warn} GiB are comfortable", advice)


def writable(folder: Path) -> Check:
    place = _existing(folder)
    if os.access(place, os.W_OK):
        return Check("folder", "ok", f"{folder} can be written")
    return Check("folder", "fail", f"{place} cannot be written", "change its permissions, or set PINCLIP_HOME")


def port(number: int) -> Check:
    if is_free(number):
        return Check("port", "ok", f"{number} is free for pinclip ui")
    return Check("port", "warn", f"{number} is taken", "pinclip ui takes a free one, or --port")


def git() -> Check:
    revision = git_revision(CODE)
    if revision:
        return Check("git", "ok", revision[:12] + ("-dirty" if "dirty" in revision else ""))
    return Check("git", "warn", "no git, or no checkout", "a run's lineage will not name the code's commit")


def _existing(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
