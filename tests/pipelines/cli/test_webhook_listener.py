"""MLflow's webhook: whom it is believed, and what follows. Messages are signed by MLflow's own function."""

import json
import threading
import time
import uuid

import pytest
import requests
import uvicorn
from mlflow.webhooks.delivery import _generate_hmac_signature

from components.registry.webhook import WebhookRefused, verified
from model.errors import ConfigError, RunError, StoreError
from pipelines.cli import webhook_listener
from pipelines.cli.webhook_listener import MAX_BODY, Syncing, app, listen

SECRET = "a secret of this test"
MESSAGE = {"name": "pinclip", "alias": "champion", "version": "7"}


def signed(data: object = MESSAGE, secret: str = SECRET, at: float = 0.0, entity: str = "model_version_alias"):
    """(headers, body) as MLflow sends them."""
    body = json.dumps({"entity": entity, "action": "created", "timestamp": "2026-11-21T12:00:00", "data": data})
    delivery, moment = str(uuid.uuid4()), str(int(at or time.time()))
    signature = _generate_hmac_signature(secret, delivery, moment, body)
    names = ("X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature")
    return dict(zip(names, (delivery, moment, signature), strict=True)), body.encode()


def small(headers):
    return {name.lower(): value for name, value in headers.items()}


def test_what_mlflow_signs_is_believed():
    headers, body = signed()
    assert verified(small(headers), body, SECRET, time.time())["data"] == MESSAGE


@pytest.mark.parametrize("name", ["x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature"])
def test_without_any_of_the_three_it_is_not_signed(name):
    headers, body = signed()
    with pytest.raises(WebhookRefused) as refusal:
        verified({key: value for key, value in small(headers).items() if key != name}, body, SECRET, time.time())
    assert refusal.value.status == 401


def test_another_secret_body_time_or_delivery_is_refused():
    headers, body = signed(secret="another")
    forged = [(small(headers), body)]
    headers, body = signed()
    forged += [(small(headers), body.replace(b"7", b"8"))]
    forged += [(small(headers) | {"x-mlflow-timestamp": str(int(time.time()) + 9)}, body)]
    forged += [(small(headers) | {"x-mlflow-delivery-id": "x"}, body)]
    forged += [(small(headers) | {"x-mlflow-signature": "ü"}, body)]
    for changed, content in forged:
        with pytest.raises(WebhookRefused) as refusal:
            verified(changed, content, SECRET, time.time())
        assert refusal.value.status == 403


@pytest.mark.parametrize("seconds", [-301, 301])
def test_an_old_message_and_one_from_the_future_are_refused(seconds):
    headers, body = signed(at=time.time() + seconds)
    with pytest.raises(WebhookRefused, match="clocks") as refusal:
        verified(small(headers), body, SECRET, time.time())
    assert refusal.value.status == 401


@pytest.fixture
def heard():
    return []


@pytest.fixture
def address(heard):
    """The app on a real port; `heard` gets an entry for each sync."""
    server = uvicorn.Server(
        uvicorn.Config(app(SECRET, "pinclip", Syncing(lambda: heard.append(1))), port=0, log_level="warning")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mlflow"
    server.should_exit = True
    thread.join()


def until(true) -> bool:
    return any(true() or time.sleep(0.01) for _ in range(1000))


def test_the_champions_alias_is_followed_by_a_sync_and_nothing_else_is(address, heard):
    headers, body = signed()
    assert requests.post(address, body, headers=headers, timeout=10).status_code == 202
    assert until(lambda: heard == [1])
    others = [signed({**MESSAGE, "alias": "challenger"}), signed({**MESSAGE, "name": "other"})]
    others += [signed(entity="registered_model"), signed(data="text")]
    for headers, body in others:
        answer = requests.post(address, body, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()) == (200, {"sync": "not needed"})
    assert requests.post(address, body, timeout=10).status_code == 401
    headers, body = signed(secret="wrong")
    assert requests.post(address, body, headers=headers, timeout=10).status_code == 403
    assert requests.post(address, b" " * (MAX_BODY + 1), headers=headers, timeout=10).status_code == 413
    assert requests.get(address.replace("mlflow", "health"), timeout=10).json() == {"ready": True}
    assert heard == [1]


def test_who_asks_during_a_sync_is_answered_by_one_more_and_failures_end_nothing(monkeypatch, capsys):
    monkeypatch.setattr(webhook_listener, "BUSY", 0.01)
    begun, go_on, calls = threading.Event(), threading.Event(), []

    def sync() -> None:
        calls.append(1)
        begun.set()
        go_on.wait(10)
        if len(calls) == 2:
            raise RunError("Another sync is at work.")
        if len(calls) == 3:
            raise StoreError("MLflow does not answer.")

    syncing = Syncing(sync)
    syncing.ask()
    assert begun.wait(10)
    for _ in range(5):
        syncing.ask()
    go_on.set()
    assert until(lambda: len(calls) == 3)  # one, one for the five, and its repetition
    time.sleep(0.1)
    assert len(calls) == 3
    syncing.ask()
    assert until(lambda: len(calls) == 4)
    assert "Another sync is at work." in capsys.readouterr().err


def test_an_address_or_secret_that_does_not_do_is_said(monkeypatch):
    monkeypatch.setenv("PINCLIP_WEBHOOK_SECRET", SECRET)
    for wrong in ("8010", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000"):
        with pytest.raises(ConfigError, match="is no HOST:PORT"):
            listen(wrong, "pinclip", lambda: None)
    monkeypatch.delenv("PINCLIP_WEBHOOK_SECRET")
    with pytest.raises(ConfigError, match="Set PINCLIP_WEBHOOK_SECRET"):
        listen("127.0.0.1:8010", "pinclip", lambda: None)
