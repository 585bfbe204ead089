"""What tests of several folders share."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

# What shares what takes long to make, by how its paths begin: each line is one process's, the first that fits.
TOGETHER = (
    ("tests/components/ray/distributed/",),
    ("tests/e2e/test_on_cluster",),
    ("tests/e2e/test_promotion_ui",),
    ("tests/e2e/",),  # the others read one run
    ("tests/serving/service/", "tests/serving/encoder/", "tests/serving/test_one_preprocessing.py"),
)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """One process runs the tests of a file, and those of a line of TOGETHER: they share fixtures."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFixtures(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((line[0] for line in TOGETHER if nodeid.startswith(line)), nodeid.split("::")[0])

    return ByFixtures(config, log)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line of what was skipped, and why: a program that is missing is missing from the verdict too."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ") for report in terminalreporter.stats.get("skipped", [])
    )
    told = "; ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
    terminalreporter.write_line(f"skipped: {told or 'nothing'}")


@pytest.fixture(scope="session")
def features_home(tmp_path_factory):
    """An empty home of features; `features_home.beside(folder)` is another, without the seconds that MLflow takes."""
    from feature_home import Home

    return Home(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="session")
def redis(tmp_path_factory) -> Iterator["object"]:
    """A real redis-server, one for all tests; those that stop it start one of their own."""
    from feature_home import redis_server

    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def screenshots(pytestconfig) -> Path:
    """Where pages show what they looked like: .pytest_cache/screenshots, or PINCLIP_SCREENSHOTS."""
    folder = Path(os.environ.get("PINCLIP_SCREENSHOTS", pytestconfig.rootpath / ".pytest_cache" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder
