"""Servers that answer, refuse or are not there, before a run begins."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from components.servers import answering, check_servers
from components.settings import Settings
from model.errors import StoreError


@pytest.fixture
def mlflow():
    """A server that answers as `status` says, and keeps the headers it was sent."""

    class Server(HTTPServer):
        status, authorization = 200, ""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.authorization = self.headers.get("Authorization", "")
            self.send_response(self.server.status)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)


def settings(tmp_path, server=None, redis="") -> Settings:
    uri = f"http://127.0.0.1:{server.server_port}" if server else ""
    return Settings(home=tmp_path, mlflow_uri=uri, redis=redis)


def test_files_are_no_servers(tmp_path):
    assert list(answering(settings(tmp_path))) == []


def test_those_that_answer_are_named(tmp_path, mlflow, redis, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    assert list(answering(settings(tmp_path, mlflow, redis.address))) == ["MLflow", "Redis"]
    assert mlflow.authorization == "Basic bWU6c2VjcmV0"  # base64 of me:secret


def test_a_token_is_sent_as_mlflow_sends_it(tmp_path, mlflow, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc")
    check_servers(settings(tmp_path, mlflow))
    assert mlflow.authorization == "Bearer abc"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(401, r"refuses the password or token \(401\)"), (403, "refuses the password"), (502, "answers with 502")],
)
def test_an_mlflow_that_refuses(tmp_path, mlflow, status, sentence):
    mlflow.status = status
    with pytest.raises(StoreError, match=sentence):
        check_servers(settings(tmp_path, mlflow))


def test_an_mlflow_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match=r"MLflow does not answer \(ConnectionError\)"):
        check_servers(Settings(home=tmp_path, mlflow_uri="http://127.0.0.1:9"))


def test_a_redis_that_is_not_there_or_refuses(tmp_path, redis):
    with pytest.raises(StoreError, match="Redis does not answer"):
        check_servers(settings(tmp_path, redis="127.0.0.1:9"))
    with pytest.raises(StoreError, match="Redis refuses the password") as error:
        check_servers(settings(tmp_path, redis=f"{redis.address},password=secret"))
    assert "secret" not in str(error.value)
