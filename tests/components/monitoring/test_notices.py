"""The notice: what it says, that it goes out once in a while, and what follows where the webhook fails."""

import json
import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest

from components.monitoring.config import MonitoringConfig
from components.monitoring.cooldown import Cooldown
from components.monitoring.notice import SHOWN, message, notify
from components.monitoring.webhook import send
from model.errors import StoreError

CONFIG = MonitoringConfig()
NOW = datetime(2026, 11, 21, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def in_no_time(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def state(settings) -> dict:
    return json.loads((settings.home / "monitoring" / "state.json").read_text())


def test_a_notice_goes_out_once_in_a_while(webhook, settings, drift):
    first = notify(drift("brightness"), CONFIG, settings)
    assert first == {"over": True, "sent": True, "says": "The notice went out."}
    second = notify(drift("brightness", "script"), CONFIG, settings)
    assert (second["over"], second["sent"]) == (True, False)
    assert second["says"] == "A notice went out in the last 24 hours; this one is kept back."
    assert len(webhook.messages) == 1
    assert set(state(settings)) == {"notice"}


def test_nothing_over_nothing_sent(webhook, settings, drift):
    assert notify(drift(), CONFIG, settings) == {"over": False, "sent": False, "says": "There is nothing to tell."}
    assert webhook.messages == []
    assert not (settings.home / "monitoring").exists()


def test_the_message_is_slacks_and_calls_nobody(drift):
    said = message(drift("brightness", "<!channel> & co"))
    assert set(said) == {"text", "blocks"}
    assert [block["type"] for block in said["blocks"]] == ["header", "section", "context"]
    assert said["blocks"][0]["text"]["text"] == "Pin vectors of the space v7: drift in 2 of 4 measures"
    assert "• *brightness*: half of them\n• *&lt;!channel&gt; &amp; co*" in said["blocks"][1]["text"]["text"]
    assert "/data/&lt;pins&gt;" in said["blocks"][2]["elements"][0]["text"]
    assert "<" not in json.dumps([said["text"], said["blocks"][1:]])
    many = message(drift(*(f"fact {i}" for i in range(SHOWN + 3))))
    assert many["blocks"][1]["text"]["text"].endswith("… and 3 more")


def test_a_webhook_that_stumbles_gets_it_with_the_third_try(webhook, settings, drift):
    webhook.statuses = [500, 429]
    assert notify(drift("brightness"), CONFIG, settings)["sent"]
    assert len(webhook.messages) == 1


@pytest.mark.parametrize(("statuses", "left"), [([500, 502, 503], 0), ([404, 500, 500], 2)])
def test_a_webhook_that_refuses_is_told_and_asked_again_with_the_next_look(webhook, settings, drift, statuses, left):
    webhook.statuses = [*statuses]
    refused = notify(drift("brightness"), CONFIG, settings)
    assert (refused["over"], refused["sent"]) == (True, False)
    says = "The webhook answers with {}; check PINCLIP_ALERT_WEBHOOK and the network."
    assert refused["says"] == says.format(503 if left == 0 else 404)
    assert len(webhook.statuses) == left  # what will not change is not asked for again
    assert state(settings) == {}
    webhook.statuses = []
    assert notify(drift("brightness"), CONFIG, settings)["sent"]


def test_a_host_that_is_gone_and_its_address_stays_secret(settings, drift, monkeypatch, caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    strange = ("http://SECRET.invalid/x", "SECRET", "http://[SECRET/", "https://SECRET :x/", "http://127.0.0.1:SECRET")
    for address in (f"http://127.0.0.1:{port}/SECRET", *strange):
        monkeypatch.setenv("PINCLIP_ALERT_WEBHOOK", address)
        told = notify(drift("brightness"), CONFIG, settings)
        assert not told["sent"]
        assert "PINCLIP_ALERT_WEBHOOK" in told["says"]
        assert "SECRET" not in told["says"]
        assert "secret" not in told["says"]
    assert "secret" not in caplog.text.lower()
    assert not any("SECRET" in file.read_text() for file in settings.home.rglob("*.json"))


def test_no_webhook_is_told(settings, drift, monkeypatch):
    monkeypatch.delenv("PINCLIP_ALERT_WEBHOOK", raising=False)
    assert not send({"text": "x"})
    told = notify(drift("brightness"), CONFIG, settings)
    assert told["says"] == "No notice: PINCLIP_ALERT_WEBHOOK names no webhook."
    assert state(settings) == {}


def test_of_two_at_once_one_sends(webhook, settings, drift):
    done = []
    threads = [
        threading.Thread(target=lambda: done.append(notify(drift("brightness"), CONFIG, settings))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one["sent"] for one in done) == [False] * 5 + [True]
    assert len(webhook.messages) == 1


def test_the_pause_ends_and_each_kind_has_its_own(settings):
    pause = Cooldown(settings, hours=2)

    def due(what: str, minutes: int) -> bool:
        with pause.once(what, NOW + timedelta(minutes=minutes)) as yes:
            return yes

    assert [due("notice", 0), due("notice", 119), due("training", 119), due("notice", 120)] == [True, False, True, True]
    assert state(settings) == {"notice": "2026-11-21T22:00:00+00:00", "training": "2026-11-21T21:59:00+00:00"}


def test_what_fails_counts_as_not_sent(settings):
    pause = Cooldown(settings, hours=2)
    with pytest.raises(StoreError), pause.once("notice", NOW):
        raise StoreError("no")
    with pause.once("notice", NOW) as due:
        assert due
