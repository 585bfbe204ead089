"""A step and a server that comes back, stays away, or refuses."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import ClassVar

import pytest

from components import retries
from components.retries import VARIABLE, RetrySchedule, with_retries
from components.settings import Settings
from model.errors import ServerAway, StoreError


@pytest.fixture
def mlflow():
    """A real HTTP server that answers with its `statuses` in turn, the last one for ever."""

    class Server(HTTPServer):
        statuses: ClassVar[list[int]] = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            left = self.server.statuses
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def slept(monkeypatch):
    """The pauses that were made; no time passes."""
    pauses: list[float] = []
    monkeypatch.setattr(retries, "time", SimpleNamespace(sleep=pauses.append))
    return pauses


class Work:
    """Fails as often as it is told to, then returns what it was given."""

    def __init__(self, failures: int, error: type[Exception] = StoreError) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    def function(self):
        @with_retries
        def work(text: str, settings: Settings) -> str:
            self.calls += 1
            if self.calls <= self.failures:
                raise self.error("MLflow refused (connection reset).")
            return text

        return work


def settings(mlflow, tmp_path) -> Settings:
    return Settings(home=tmp_path, mlflow_uri=f"http://127.0.0.1:{mlflow.server_address[1]}")


def test_a_server_that_comes_back_costs_the_profiles_waits(mlflow, tmp_path, monkeypatch, slept, capsys):
    monkeypatch.setenv(VARIABLE, '{"count": 3, "wait": "1m", "factor": 2}')
    mlflow.statuses = [503, 503, 200]
    work = Work(failures=2)
    assert work.function()("done", settings(mlflow, tmp_path)) == "done"
    assert (work.calls, slept) == (3, [60, 120])
    assert "This step tries again in 60 s." in capsys.readouterr().out


def test_a_server_that_stays_away_is_told_after_the_last_try(mlflow, tmp_path, monkeypatch, slept):
    monkeypatch.setenv(VARIABLE, '{"count": 2, "wait": "20s", "factor": 1}')
    mlflow.statuses = [503]
    work = Work(failures=99)
    with pytest.raises(StoreError, match="connection reset"):
        work.function()("done", settings=settings(mlflow, tmp_path))
    assert (work.calls, slept) == (3, [20, 20])


@pytest.mark.parametrize("status", [200, 401, 404])
def test_a_server_that_answers_has_refused_and_nobody_waits(mlflow, tmp_path, monkeypatch, slept, status):
    monkeypatch.setenv(VARIABLE, '{"count": 2, "wait": "20s"}')
    mlflow.statuses = [status]
    work = Work(failures=99)
    with pytest.raises(StoreError):
        work.function()("done", settings(mlflow, tmp_path))
    assert (work.calls, slept) == (1, [])


def test_a_mistake_of_another_kind_is_not_repeated(tmp_path, monkeypatch, slept):
    monkeypatch.setenv(VARIABLE, '{"count": 2, "wait": "20s"}')
    work = Work(failures=99, error=ValueError)
    with pytest.raises(ValueError):
        work.function()("done", Settings(home=tmp_path))
    assert work.calls == 1


def test_on_one_machine_nobody_waits(tmp_path, monkeypatch, slept):
    monkeypatch.delenv(VARIABLE, raising=False)
    work = Work(failures=99, error=ServerAway)
    with pytest.raises(ServerAway):
        work.function()("done", Settings(home=tmp_path, mlflow_uri="http://127.0.0.1:1"))
    assert (work.calls, slept) == (1, [])


def test_waits_by_hand():
    assert list(RetrySchedule(count=4, wait="5s", factor=3).pauses()) == [5, 15, 45, 135]
