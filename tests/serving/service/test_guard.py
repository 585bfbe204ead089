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


async def ask(
    guarded: Guard, path: str = "/v1/search", caller: str = "127.0.0.1", body: list[bytes] | None = None, **headers: str
) -> tuple[int, dict, dict]:
    """(status, headers, message); a body comes in these pieces, and after them nothing more."""
    sent, pieces = [], body or [b""]
    scope = {"type": "http", "method": "POST", "path": path, "client": (caller, 1)}
    headers = {"content_type": "application/json"} | headers
    scope["headers"] = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]

    async def receive():
        if not pieces:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": pieces.pop(0), "more_body": body is not None}

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
        await asyncio.sleep(0.01)
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
        await asyncio.sleep(0.01)
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


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:8000"}, 200),
        ({"host": "[::1]:8000", "origin": "http://[::1]:8000"}, 200),
        ({"host": "localhost", "content_type": "multipart/form-data; boundary=x"}, 200),
        ({"host": "attacker.example"}, 403),  # a name of theirs that leads to 127.0.0.1
        ({"host": "127.0.0.1.attacker.example"}, 403),
        ({"host": "[::1"}, 403),
        ({"host": "localhost", "origin": "http://attacker.example"}, 403),
        ({"host": "localhost:8000", "origin": "http://localhost:9000"}, 403),  # another program's page
        ({"host": "localhost", "origin": "null"}, 403),
        ({"host": "localhost", "sec_fetch_site": "cross-site"}, 403),
        ({"host": "localhost", "content_type": "text/plain"}, 415),
        ({"host": "localhost", "content_type": ""}, 415),
        ({"host": "localhost", "content_type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_without_a_token_no_web_page_of_others_is_answered(headers, status):
    assert asyncio.run(ask(guard(), **headers))[0] == status
    with_token = {"authorization": "Bearer secret"} | headers
    assert asyncio.run(ask(guard(token="secret"), **with_token))[0] == 200


def test_a_slow_body_takes_no_place_and_ends(monkeypatch):
    async def story() -> tuple[list[int], list[int]]:
        guarded = guard(at_once=2, per_caller=3, body_s=0.3)
        slow = [asyncio.create_task(ask(guarded, caller="slow", body=[b"{"])) for _ in range(5)]
        await asyncio.sleep(0.05)
        others = [(await ask(guarded, caller="other"))[0] for _ in range(5)]
        ended = [(await one)[0] for one in slow]
        assert (guarded.arriving, guarded.ongoing, guarded.held.held, len(guarded.callers)) == (0, 0, 0, 0)
        return others, ended

    others, ended = asyncio.run(story())
    assert others == [200] * 5
    assert ended == [408] * 3 + [429] * 2


def test_one_caller_leaves_places_to_the_others():
    async def story() -> list[int]:
        go = asyncio.Event()
        guarded = guard(go.wait, at_once=4, per_caller=3)
        many = [asyncio.create_task(ask(guarded, caller="many")) for _ in range(6)]
        await asyncio.sleep(0.01)
        other = asyncio.create_task(ask(guarded, caller="other"))
        await asyncio.sleep(0.01)
        go.set()
        return [(await one)[0] for one in [*many, other]]

    assert asyncio.run(story()) == [200] * 3 + [429] * 3 + [200]


def test_bodies_are_small_where_no_picture_comes_and_bounded_together():
    limits = {"max_small_bytes": 100, "max_bytes": 1000, "max_held_bytes": 1500, "body_s": 0.2}
    assert asyncio.run(ask(guard(**limits), path="/v1/rerank", content_length="101"))[0] == 413
    assert asyncio.run(ask(guard(**limits), path="/v1/rerank", body=[b"x" * 101]))[0] == 413
    for path in ("/v1/search", "/v1/tags"):
        assert asyncio.run(ask(guard(**limits), path=path, content_length="101"))[0] == 200

    async def story() -> list[int]:
        guarded = guard(**limits)
        return [one[0] for one in await asyncio.gather(*(ask(guarded, body=[b"x" * 900]) for _ in range(3)))]

    assert sorted(asyncio.run(story())) == [408, 429, 429]
