"""The Ray cluster of a command: that of RAY_ADDRESS, or a local one that ends with the command.

The nodes of a cluster must all see the folders that are read and written.
"""

import json
import os
import platform
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from typing import Any

from model.cpus import cpus
from model.errors import RunError

# Every worker has one thread, and a waiting thread sleeps at once: spinning would starve the other workers.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "GOMP_SPINCOUNT": "1000",
    "TOKENIZERS_PARALLELISM": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}

# Prints what a cluster says of itself: ray_version, python_version and more.
ASK = """
import json, sys
from ray._common.usage.usage_lib import get_cluster_metadata
from ray._raylet import GcsClient
print(json.dumps(get_cluster_metadata(GcsClient(address=sys.argv[1]))))
"""
WAIT = 10.0  # seconds that a cluster has to answer
RAY_FOLDER = "RAY_TMPDIR"  # Ray's variable for where it keeps its sockets and logs
# Characters of that folder: a Unix socket's path has 107 at most (103 on macOS), and Ray adds up to 65.
LONGEST = 38
SHORT = "/tmp"
LOOPBACK = "127.0.0.1"
STARTS = 3  # Ray allows half a minute for a start, which may be too short on a busy machine


def has_cluster() -> bool:
    return os.environ.get("RAY_ADDRESS", "") not in ("", "local")


@contextmanager
def ray_folder() -> Iterator[str]:
    """A folder with a path short enough for Ray's sockets: RAY_TMPDIR, else one that goes with the block.

    Raises:
        RunError: RAY_TMPDIR is too long, or TMPDIR is and /tmp cannot be written.
    """
    if given := os.environ.get(RAY_FOLDER):
        if len(given) > LONGEST:
            raise RunError(
                f"{RAY_FOLDER} is too long for Ray's sockets ({len(given)} characters, {LONGEST} at most); name a "
                "shorter folder, or unset it."
            )
        yield given
        return
    name = "pinclip-"
    for place in (tempfile.gettempdir(), SHORT):
        if len(f"{place}/{name}12345678") <= LONGEST and os.access(place, os.W_OK | os.X_OK):
            with tempfile.TemporaryDirectory(prefix=name, dir=place, ignore_cleanup_errors=True) as folder:
                yield folder
            return
    raise RunError(
        f"TMPDIR is too long for Ray's sockets and {SHORT} cannot be written; set a TMPDIR of at most "
        f"{LONGEST - len('/pinclip-12345678')} characters."
    )


@contextmanager
def ray_cluster(places: int | None = None, log: bool = False) -> Iterator[int]:
    """Yields how many tasks of one CPU run at a time: `places`, else as many as there are CPUs.

    With `log`, what workers print is printed here.

    Raises:
        RunError: the cluster of RAY_ADDRESS does not answer, or Ray has not started in STARTS tries: the machine is
            overloaded.
    """
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    common = {"logging_level": "error", "log_to_driver": log, "runtime_env": {"env_vars": ENVIRONMENT}}
    if has_cluster():
        check_cluster()
        with _started(common, 1):
            yield places or max(int(ray.cluster_resources().get("CPU", 1)), 1)
        return
    places = places or cpus()
    with ray_folder() as folder, _closed_to_others(), _started(common | _of_our_own(places, folder), STARTS):
        yield places


@contextmanager
def _closed_to_others() -> Iterator[None]:
    """A cluster that is started in the block listens on the loopback address alone, and asks for a token.

    Ray takes the machine's own address even where it is told 127.0.0.1, unless it believes that it is on a system
    without clusters, as on macOS; then it listens there alone, with every one of its processes.
    """
    from ray._private import ray_constants
    from ray._raylet import AuthenticationTokenLoader, Config

    before, clusters = dict(os.environ), ray_constants.ENABLE_RAY_CLUSTER
    os.environ["RAY_AUTH_MODE"] = "token"
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", _token())
    ray_constants.ENABLE_RAY_CLUSTER = False
    Config.initialize("")  # Ray has read its environment when it was imported
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = clusters
        for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            os.environ.pop(name, None)
            os.environ.update({name: before[name]} if name in before else {})
        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()


@cache
def _token() -> str:
    """One for the whole process, because Ray reads it once."""
    return secrets.token_hex(32)


def _of_our_own(places: int, folder: str) -> dict[str, Any]:
    settings = {"address": "local", "num_cpus": places, "include_dashboard": False, "_temp_dir": folder}
    settings["_node_ip_address"] = LOOPBACK
    settings["_system_config"] = {"worker_niceness": 0}  # this work may use all of the machine
    if not folder.startswith(tempfile.gettempdir()):
        settings["object_spilling_directory"] = tempfile.gettempdir()  # what is large stays where the user wants it
    return settings


def check_cluster() -> None:
    """Asks the cluster of RAY_ADDRESS at once; Ray itself tries for minutes where nobody answers.

    Raises:
        RunError: it is no address of Ray's, nobody answers, or Ray or Python are of other versions there.
    """
    address = os.environ["RAY_ADDRESS"]
    if address == "auto":
        return  # Ray finds the address itself
    if address.startswith(("http://", "https://")):
        raise RunError(
            "RAY_ADDRESS is a dashboard's address; name the cluster itself, host:6379, or unset RAY_ADDRESS."
        )
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not host or not port.isdecimal():
        raise RunError(f"RAY_ADDRESS={address} is no address of a Ray cluster; write host:6379, or unset RAY_ADDRESS.")
    try:
        socket.create_connection((host, int(port)), timeout=WAIT).close()
    except (OSError, OverflowError) as error:
        raise RunError(
            f"Nobody answers at RAY_ADDRESS={address} ({error}); check that the cluster is up, or unset RAY_ADDRESS."
        ) from None
    if "//" not in address:
        check_versions(_versions(address))


def _versions(address: str) -> dict[str, str]:
    """Of the cluster; empty where it does not tell. A separate process asks, because Ray's client may end the process
    that asks."""
    command = [sys.executable, "-c", ASK, address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * WAIT, check=True)
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (subprocess.SubprocessError, ValueError, IndexError):
        return {}


def check_versions(theirs: dict[str, str]) -> None:
    ours = {"ray_version": metadata.version("ray"), "python_version": platform.python_version()}
    for name, there in theirs.items():
        if name in ours and there != ours[name]:
            what = name.removesuffix("_version").capitalize()
            raise RunError(
                f"The Ray cluster of RAY_ADDRESS has {what} {there} and this machine {ours[name]}, and Ray joins only "
                "the same; start the cluster from this project's image, or make this environment with its version."
            )


@contextmanager
def _started(settings: dict[str, Any], starts: int) -> Iterator[None]:
    """Ray, until the block ends."""
    import ray

    _start(settings, starts)
    try:
        yield
    finally:
        ray.shutdown()


def _start(settings: dict[str, Any], starts: int) -> None:
    """Starts Ray; processes of a failed start end with this process."""
    import ray

    for left in reversed(range(starts)):
        try:
            ray.init(**settings)
            return
        except Exception as error:  # Ray has no narrower one
            ray.shutdown()
            if left:
                continue
            fix = "check the cluster of RAY_ADDRESS" if has_cluster() else "close what else keeps this machine busy"
            raise RunError(f"Ray did not start ({str(error).split('.')[0]}); {fix} and try again.") from error
