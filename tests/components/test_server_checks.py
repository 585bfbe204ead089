"""Servers that answer, refuse or are not there, before a run begins."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from components.mlflow_client import connect
from components.server_checks import answering, check_servers
from components.settings import Settings
from model.errors import RunError, StoreError


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
    for name in ("MLFLOW_RUN_ID", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
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


def test_a_run_to_join_is_looked_for_before_the_first_step(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    place = settings(tmp_path)
    with pytest.raises(StoreError, match=r"^MLflow has no run 0+, which MLFLOW_RUN_ID names; unset MLFLOW_RUN_ID"):
        check_servers(place)
    assert not (tmp_path / "mlflow.db").exists()
    client = connect(place)
    run = client.create_run("0").info.run_id
    with pytest.raises(StoreError, match="MLflow has no run 0"):
        check_servers(place)
    monkeypatch.setenv("MLFLOW_RUN_ID", run)
    assert list(answering(place)) == [f"the MLflow run {run}"]
    client.delete_run(run)
    with pytest.raises(StoreError, match=f"The run {run} of MLFLOW_RUN_ID is deleted in MLflow"):
        check_servers(place)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1:9", "Nobody answers at RAY_ADDRESS=127.0.0.1:9"),
        ("ray://127.0.0.1:9", "Nobody answers at RAY_ADDRESS=ray://127.0.0.1:9"),
        ("http://127.0.0.1:8265", "RAY_ADDRESS is a dashboard's address; name the cluster itself, host:6379"),
        ("somewhere", "RAY_ADDRESS=somewhere is no address of a Ray cluster; write host:6379"),
    ],
)
def test_a_ray_cluster_is_asked_too(tmp_path, monkeypatch, address, sentence):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(RunError) as error:
        check_servers(settings(tmp_path))
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("address", ["", "local"])
def test_a_ray_of_our_own_needs_no_asking(tmp_path, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert list(answering(settings(tmp_path))) == []
