"""A service that starts before the first publication: alive, not ready, and it says what it waits for."""

import logging

import pytest
from starlette.testclient import TestClient

from model.errors import StoreError
from serving.service.api import api
from serving.service.config import Opening, ServiceConfig
from serving.service.guard import Guard
from serving.service.served_spaces import ServedSpaces

SENTENCE = "No space is published in /data/home/feast; run the pipeline first, or set PINCLIP_HOME."


@pytest.fixture
def waiting():
    """(what is served, a client of the application behind its guard)"""
    served = ServedSpaces(ServiceConfig())
    guard = Guard(api(served, lambda: True), served.config, served.metrics, lambda: served.waits_for)
    return served, TestClient(guard, base_url="http://127.0.0.1")


def nothing() -> Opening:
    raise StoreError(SENTENCE)


def test_it_is_alive_and_not_ready_and_says_why(waiting, caplog):
    served, client = waiting
    with caplog.at_level(logging.WARNING, "ray.serve"):
        served.open_when_there(nothing)
        served.open_when_there(nothing)
    assert client.get("/health/live").status_code == 200
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()) == (503, {"ready": False, "waits_for": SENTENCE})
    asked = client.get("/v1/spaces")
    assert (asked.status_code, asked.json(), asked.headers["retry-after"]) == (503, {"error": SENTENCE}, "10")
    assert client.get("/metrics").status_code == 200
    served.follow()
    served.save()
    assert [record.getMessage() for record in caplog.records] == [f"Not ready: {SENTENCE}"]


def test_a_bug_is_in_the_log_and_the_next_look_goes_on(waiting, caplog):
    served, client = waiting

    def bug() -> Opening:
        raise ZeroDivisionError("secret")

    with caplog.at_level(logging.WARNING, "ray.serve"):
        served.open_when_there(bug)
    says = client.get("/health/ready").json()["waits_for"]
    assert says == "The spaces cannot be opened (ZeroDivisionError); see the service's log."
    assert "secret" in caplog.text
    served.open_when_there(nothing)
    assert client.get("/health/ready").json()["waits_for"] == SENTENCE


def test_what_fails_in_a_route_is_one_sentence_counted_and_in_the_log(waiting, caplog, monkeypatch):
    served, client = waiting
    served.waits_for = ""
    monkeypatch.setattr(served, "space", lambda name: 1 / 0)
    with caplog.at_level(logging.ERROR, "ray.serve"):
        answer = client.get("/v1/pins/p/related")
    said = {"error": "The service has failed at this request; its log says why."}
    assert (answer.status_code, answer.json()) == (500, said)
    assert "A request failed: GET /v1/pins/p/related" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert 'status="500"' in client.get("/metrics").text


def test_it_is_ready_once_something_is_published(waiting, published):
    served, client = waiting
    files, catalogue = published
    served.open_when_there(nothing)
    served.open_when_there(lambda: Opening(tuple(files), files[-1].name, catalogue))
    assert client.get("/health/ready").json() == {"ready": True}
    spaces = client.get("/v1/spaces").json()
    assert (spaces["serving"], len(spaces["spaces"])) == (files[-1].name, 2)
