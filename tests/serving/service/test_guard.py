"""What is refused before a route sees it; the application behind is three lines, the guard the real one."""

import asyncio
import json

import pytest

from model.errors import ConfigError
from serving.service.config import ServiceConfig
from serving.service.guard import Guard
from serving.service.metrics import ServiceMetrics


def guard(work=None, **config) -> Guard:
    async def app(scope, receive, send):
        if work is not None:
            await work()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    return Guard(app, ServiceConfig(**config), ServiceMetrics())


async def ask(guarded: Guard, path: str = "/v1/search", **headers: str) -> tuple[int, dict, dict]:
    """(status, headers, message)"""
    sent = []
    scope = {"type": "http", "method": "POST", "path": path}
    scope["headers"] = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    await guarded(scope, receive, send)
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], head, json.loads(sent[1]["body"])


@pytest.mark.parametrize("given", [{}, {"authorization": "Bearer other"}, {"authorization": "secret"}])
def test_without_the_token_nothing_is_answered(given):
    status, headers, message = asyncio.run(ask(guard(token="secret"), **given))
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert "secret" not in message["error"]


def test_with_the_token_it_is_and_health_needs_none():
    assert asyncio.run(ask(guard(token="secret"), authorization="Bearer secret"))[0] == 200
    assert asyncio.run(ask(guard(token="secret"), path="/health/ready"))[0] == 200
    assert asyncio.run(ask(guard(token="secret"), path="/metrics"))[0] == 200


def test_one_more_than_fits_is_refused_and_place_is_made_again():
    async def story() -> list[int]:
        go = asyncio.Event()
        guarded = guard(go.wait, at_once=2)
        first = [asyncio.create_task(ask(guarded)) for _ in range(2)]
        await asyncio.sleep(0)
        status, headers, _ = await ask(guarded)
        assert headers["retry-after"] == "1"
        health = await ask(guarded, path="/health/ready") if go.set() is None else None
        return [status, health[0], *(answer[0] for answer in await asyncio.gather(*first)), (await ask(guarded))[0]]

    assert asyncio.run(story()) == [429, 200, 200, 200, 200]


def test_an_answer_that_takes_too_long_is_given_up():
    async def long() -> None:
        await asyncio.sleep(60)

    status, _, message = asyncio.run(ask(guard(long, seconds=0.05)))
    assert (status, message["error"]) == (504, "No answer within 0.05 s; ask again with fewer Pins.")


def test_a_failure_leaves_its_place_free():
    async def story() -> int:
        fails = [ValueError("a bug")]

        async def work() -> None:
            if fails:
                raise fails.pop()

        guarded = guard(work, at_once=1)
        with pytest.raises(ValueError, match="a bug"):
            await ask(guarded)
        return (await ask(guarded))[0]

    assert asyncio.run(story()) == 200


def test_draining_waits_for_what_was_accepted_and_accepts_no_more():
    async def story() -> None:
        go = asyncio.Event()
        guarded = guard(go.wait)
        accepted = asyncio.create_task(ask(guarded))
        await asyncio.sleep(0)
        drained = asyncio.create_task(guarded.drained())
        await asyncio.sleep(0.05)
        assert not drained.done()
        assert (await ask(guarded))[0] == 503
        go.set()
        await asyncio.wait_for(drained, 5)
        assert accepted.done()
        assert accepted.result()[0] == 200

    asyncio.run(story())


@pytest.mark.parametrize("length", ["1001", "much", "-1"])
def test_a_body_that_says_it_is_too_long_is_not_read(length):
    assert asyncio.run(ask(guard(max_bytes=1000), content_length=length))[0] == 413


def test_who_serves_others_needs_a_token():
    with pytest.raises(ConfigError, match="PINCLIP_SERVE_TOKEN"):
        ServiceConfig(host="0.0.0.0")
    assert "secret" not in repr(ServiceConfig(host="0.0.0.0", token="secret"))
    with pytest.raises(ConfigError, match=r"serve\.at_once is 0"):
        ServiceConfig(at_once=0)
