"""A reviewer sets the alias `champion` by clicking in MLflow's UI, in a real browser, and another space serves."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests
from browser import chromium
from cryptography.fernet import Fernet
from feature_home import CREATED, Home
from playwright.sync_api import Page, expect
from promoted_pins import champion, serving

from components.spaces.feature_store import open_store

pytestmark = pytest.mark.timeout(300)
PINCLIP = Path(sys.executable).with_name("pinclip")
ROW = {"pin_id": "p3", "user_id": "b0", "asked_at": CREATED}
LOW = ("--set", "promotion.min_index_recall=0.5")  # codes drawn by chance are no vectors of a model


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def running(command: list[str], health: str, log: Path, **environment: str):
    """The process, from when it answers at `health` on."""
    with log.open("w") as output:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        for _ in range(1200):
            with suppress(requests.RequestException):
                if requests.get(health, timeout=5).ok:
                    break
            assert process.poll() is None, log.read_text()[-4000:]
            time.sleep(0.1)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture
def mlflow_server(tmp_path):
    """Its address; it may send webhooks to this machine."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    told = {
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_CACHE_TTL": "1",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with running(command, f"{address}/health", tmp_path / "mlflow.log", **told):
        yield address


@pytest.fixture
def page():
    with chromium() as (page, _):
        yield page


def set_champion(page: Page, mlflow_server: str, version: str, picture: Path) -> None:
    """As a person does it: the version's page, its aliases, the name, save."""
    page.goto("about:blank")
    page.goto(f"{mlflow_server}/#/models/pinclip/versions/{version}")
    page.locator("button[title$=' aliases']").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input").click()
    page.keyboard.insert_text("champion")
    page.keyboard.press("Enter")
    page.screenshot(path=picture)
    dialog.get_by_role("button", name="Save aliases").click()
    expect(dialog).to_have_count(0, timeout=60_000)


def pinclip(home: Home, *arguments: str) -> str:
    settings = {"PINCLIP_HOME": str(home.settings.home), "PINCLIP_MLFLOW_URI": home.settings.mlflow_uri}
    done = subprocess.run(
        [PINCLIP, *arguments], env=os.environ | settings, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer(home: Home) -> tuple[str, bytes]:
    """(the tag of `pin_ranking`, the vector that it gives)"""
    store = open_store(home.settings)
    service = store.get_feature_service("pin_ranking")
    return service.tags["space"], store.get_online_features(service, [ROW]).to_dict()["vector"][0]


def test_the_alias_is_set_by_clicking_and_the_service_answers_from_that_space(
    mlflow_server, page, screenshots, tmp_path
):
    home = Home(tmp_path, mlflow_uri=mlflow_server)
    home.client.create_registered_model("pinclip")
    (first, first_vectors), (second, second_vectors) = home.new_space(1), home.new_space(2)
    assert answer(home) == (first, first_vectors["p3"])

    set_champion(page, mlflow_server, second[1:], screenshots / "mlflow-champion.png")
    assert (champion(home), serving(home)) == (second, first)  # nothing has moved but the alias
    assert f"its space {second} serves in place of {first}" in pinclip(home, "sync", *LOW)
    assert answer(home) == (second, second_vectors["p3"])

    # The same again, but now MLflow's webhook calls, and nobody types anything.
    secret, address = secrets.token_hex(16), f"127.0.0.1:{free_port()}"
    told = {"PINCLIP_HOME": str(home.settings.home), "PINCLIP_MLFLOW_URI": mlflow_server}
    told["PINCLIP_WEBHOOK_SECRET"] = secret
    events = ["model_version_alias.created", "model_version_alias.deleted"]
    home.client.create_webhook("pinclip-sync", f"http://{address}/mlflow", events, secret=secret)
    listening = [str(PINCLIP), "sync", "--listen", address, *LOW]
    with running(listening, f"http://{address}/health", tmp_path / "sync.log", **told):
        set_champion(page, mlflow_server, first[1:], screenshots / "mlflow-champion-again.png")
        for _ in range(600):
            if serving(home) == first and "in place of" in (tmp_path / "sync.log").read_text():
                break
            time.sleep(0.1)
    assert answer(home) == (first, first_vectors["p3"])
    last = pinclip(home, "history").splitlines()[-1].split()
    assert last[2:] == ["promoted", "an", "older", first, first[1:], second, "sync"]
    version = home.client.get_model_version("pinclip", first[1:])
    assert "pinclip.promoted_at" in version.tags
