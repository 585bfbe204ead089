"""The faults of soak.py, and the service that suffers them."""

import resource
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import requests
from feature_home import Redis
from promoted_pins import ModelHome
from served_pins import Process

from components.spaces.config import PromotionConfig
from components.spaces.paths import state_folder
from components.spaces.promote import promote
from components.spaces.roll_back import rollback
from model.embedding.affine import Affine
from serving.encoder.export import exported
from serving.service.config import SpaceFiles
from serving.service.lines import as_lines
from serving.space import SpaceManifest

SETTINGS = {"save_s": 20.0, "trim_s": 20.0, "threads": 1}  # snapshots come often
SCALES = (1 / 127, 1 / 100)  # of the two spaces' codes: no vector of one is a vector of the other
FAULT_S = 15.0  # that Redis is away, or the disk full
FILLED_BYTES = 4 * 2**30  # a file system with less free is filled whole
LOOK_S = 5.0  # between two looks at the memory
BACK_S = 300.0  # that the service may take to come back


class Soaked:
    """A home with two published spaces, the service on it, and the Redis that both use."""

    def __init__(self, folder: Path, redis: Redis) -> None:
        self.folder, self.redis, self.starts = folder, redis, 0
        self.home = ModelHome(folder / "home", redis=redis.address)
        model, graphs = self.home.root / "model", exported(self.home.root / "model", folder / "graphs")
        self.files: list[SpaceFiles] = []
        for scale in SCALES:
            name = self.home.published(scale)
            state = state_folder(name, self.home.settings)
            shutil.copytree(graphs, state / "encoder")
            self.files.append(SpaceFiles(name, self.home.settings.home / "feast", model, state))
        self.memory: list[tuple[float, int, int]] = []  # moment, bytes of the replica, of all processes together
        self._ended = threading.Event()
        self.strangers: list[str] = []  # whole lines of another service's damaged journal
        self.start()
        threading.Thread(target=self._look_at_memory, daemon=True).start()

    @property
    def address(self) -> str:
        return self.process.address

    def start(self) -> None:
        self.starts += 1
        self.process = Process(self.files, None, self.folder / f"log-{self.starts}", self.redis.address, **SETTINGS)

    def end(self) -> None:
        self._ended.set()
        if self.process.process.poll() is None:
            self.kill_tree()

    def kill_tree(self) -> None:
        """SIGKILL for the service and all that it has started."""
        first = psutil.Process(self.process.process.pid)
        tree = [*first.children(recursive=True), first]
        for process in tree:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.process.wait(60)
        psutil.wait_procs(tree, timeout=60)

    def replica(self) -> psutil.Process | None:
        """The process that holds the index; None while there is none."""
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.process.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if "ServeReplica" in process.name():
                        return process
        return None

    def wait_until_ready(self) -> None:
        """
        Raises:
            RuntimeError: the service does not come back.
        """
        until = time.monotonic() + BACK_S
        while time.monotonic() < until:
            with suppress(requests.RequestException):
                if requests.get(f"{self.address}/health/ready", timeout=5).status_code == 200:
                    return
            time.sleep(0.5)
        raise RuntimeError(f"The service does not come back:\n{self.process.log.read_text()[-4000:]}")

    def not_followed(self) -> list[str]:
        """Strangers' Pins that the service does not know."""
        path = f"/v1/pins/{{}}/related?k=1&space={self.files[1].name}"
        return [one for one in self.strangers if self.process.get(path.format(one)).status_code != 200]

    def _look_at_memory(self) -> None:
        while not self._ended.wait(LOOK_S):
            with suppress(psutil.Error):  # a process that has just ended
                first = psutil.Process(self.process.process.pid)
                everything = sum(process.memory_info().rss for process in [first, *first.children(recursive=True)])
                if replica := self.replica():
                    self.memory.append((time.monotonic(), replica.memory_info().rss, everything))


def replica_killed(soaked: Soaked) -> None:
    """Ray starts another."""
    if process := soaked.replica():
        process.kill()
        process.wait(60)


def disk_full(soaked: Soaked) -> None:
    """Nothing can be written: a small file system is filled; on a large one no file of the replica can grow."""
    if shutil.disk_usage(soaked.folder).free <= FILLED_BYTES:
        with _filled(soaked.folder / "filling"):
            time.sleep(FAULT_S)
    elif process := soaked.replica():
        before = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (0, before[1]))
        time.sleep(FAULT_S)
        process.rlimit(psutil.RLIMIT_FSIZE, (before[0] if before[0] != 0 else resource.RLIM_INFINITY, before[1]))


@contextmanager
def _filled(path: Path) -> Iterator[None]:
    """A file that takes all that is free; others may free a little meanwhile, so it goes on growing."""
    ended = threading.Event()

    def grow() -> None:
        with path.open("wb", buffering=0) as file:
            while not ended.wait(0.05):
                with suppress(OSError):  # ENOSPC
                    while file.write(b"\0" * 2**20):
                        pass

    growing = threading.Thread(target=grow)
    growing.start()
    try:
        yield
    finally:
        ended.set()
        growing.join()
        path.unlink()


def damaged_journal(soaked: Soaked) -> None:
    """Another service's journal: a whole line, then one with a changed byte."""
    files = soaked.files[1]
    affine: Affine = SpaceManifest.read(files.feast_home, files.name).affine
    codes_NE = np.random.default_rng(len(soaked.strangers)).integers(-128, 128, (2, affine.dim), dtype=np.int8)
    ids, moment = [f"stranger-{len(soaked.strangers)}", "damaged"], time.time_ns()
    lines = bytearray(as_lines(ids, affine.pack(codes_NE), np.full(2, moment // 1000)))
    lines[-40] ^= 1
    (files.state / "journal" / f"{moment}-stranger.jsonl").write_bytes(lines)
    soaked.strangers.append(ids[0])
    time.sleep(FAULT_S)


def redis_away(soaked: Soaked) -> None:
    soaked.redis.stop()
    time.sleep(FAULT_S)
    soaked.redis.start()


def promotion(soaked: Soaked) -> None:
    """The later space becomes the champion; the first has served since it was published."""
    promote(int(soaked.files[1].name[1:]), "soak", PromotionConfig(), soaked.home.settings)


def rolled_back(soaked: Soaked) -> None:
    rollback(soaked.home.settings)


def everything_killed(soaked: Soaked) -> None:
    """The machine loses power, but for what the operating system had; somebody starts the service again."""
    soaked.kill_tree()
    soaked.start()


FAULTS: tuple[Callable[[Soaked], None], ...] = (
    damaged_journal,
    replica_killed,
    redis_away,
    promotion,
    disk_full,
    everything_killed,
    rolled_back,
)
