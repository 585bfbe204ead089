"""Checks a request before its route: token, caller, the number of requests at work, the body's length and the time that
it takes, the time of the answer.

It is an ASGI middleware of its own, because Starlette's for functions needs a task for each request and reads whole
bodies. A body is read before its request counts as at work, so that a slow sender takes no place from the others.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.responses import JSONResponse

from serving.service.admission import foreign, has_token
from serving.service.body import AsgiMessage, BodyRefused, HeldBytes, Receive, read_body
from serving.service.config import ServiceConfig
from serving.service.metrics import ServiceMetrics

Send = Callable[[AsgiMessage], Awaitable[None]]
PROTECTED = "/v1/"  # the page, health and metrics need no token
WITH_PICTURES = ("/v1/pins", "/v1/search", "/v1/tags")


class Guard:
    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        config: ServiceConfig,
        metrics: ServiceMetrics,
        waits_for: Callable[[], str] = lambda: "",
    ) -> None:
        """waits_for: what keeps the service from answering, as a sentence; empty when nothing does."""
        self.app, self.config, self.metrics, self.waits_for = app, config, metrics, waits_for
        self.ongoing, self.arriving, self.closing = 0, 0, False  # at work; accepted, and their body not yet read
        self.callers: Counter[str] = Counter()  # requests of an address, at work or on their way
        self.held = HeldBytes(config.max_held_bytes)

    async def __call__(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PROTECTED):
            await self._guarded(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def drained(self) -> None:
        """Accepts no more requests and returns when all accepted ones are answered."""
        self.closing = True
        while self.ongoing or self.arriving:
            await asyncio.sleep(0.02)

    async def _guarded(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        answer, started = Answer(send), time.perf_counter()
        caller = (scope.get("client") or ("",))[0]  # behind a proxy of FORWARDED_ALLOW_IPS uvicorn says who asks
        most = self.config.max_bytes if scope["path"] in WITH_PICTURES else self.config.max_small_bytes
        if refusal := self._refusal(scope, caller, most):
            await refusal(scope, receive, answer)
        else:
            with self._counted(caller):
                await self._read_and_answered(scope, receive, answer, most)
        route = getattr(scope.get("route"), "path", "refused")
        self.metrics.requests.labels(scope["method"], route, str(answer.status)).inc()
        self.metrics.seconds.labels(route).observe(time.perf_counter() - started)

    async def _read_and_answered(self, scope: AsgiMessage, receive: Receive, answer: "Answer", most: int) -> None:
        with self.held.of_one() as mine:
            self.arriving += 1
            try:
                async with asyncio.timeout(self.config.body_s):
                    body = await read_body(receive, most, mine)
            except TimeoutError:
                says = f"The body did not arrive within {self.config.body_s:g} s; send it faster, or less of it."
                await _refused(408, says, {"Connection": "close"})(scope, receive, answer)
                return
            except BodyRefused as refused:
                await _refused(refused.status, str(refused), refused.headers)(scope, receive, answer)
                return
            finally:
                self.arriving -= 1
            if body is None:  # the caller has gone
                return
            if busy := self._busy():
                await busy(scope, receive, answer)
                return
            await self._answered(scope, body.then(receive), answer)

    async def _answered(self, scope: AsgiMessage, receive: Receive, answer: "Answer") -> None:
        self.ongoing += 1
        self.metrics.ongoing.set(self.ongoing)
        try:
            async with asyncio.timeout(self.config.seconds):
                await self.app(scope, receive, answer)
        except TimeoutError:
            if not answer.status:
                refused = _refused(504, f"No answer within {self.config.seconds:g} s; ask again with fewer Pins.")
                await refused(scope, receive, answer)
        except Exception:
            logging.getLogger("ray.serve").exception("A request failed: %s %s", scope["method"], scope["path"])
            if not answer.status:
                raise
        finally:
            self.ongoing -= 1
            self.metrics.ongoing.set(self.ongoing)

    def _refusal(self, scope: AsgiMessage, caller: str, most: int) -> JSONResponse | None:
        headers = dict(scope["headers"])
        if self.config.token and not has_token(headers, self.config.token):
            says = "Send the service's token: Authorization: Bearer <token>."
            return _refused(401, says, {"WWW-Authenticate": "Bearer"})
        if not self.config.token and (stranger := foreign(scope["method"], headers)):
            return _refused(*stranger)
        if self.closing:
            return _refused(503, "The service is stopping; ask another.", {"Retry-After": "5"})
        if waits := self.waits_for():
            return _refused(503, waits, {"Retry-After": "10"})
        if busy := self._busy():
            return busy
        if self.callers[caller] >= self.config.per_caller:
            says = f"{self.callers[caller]} requests of yours are at work; ask again in a second."
            return _refused(429, says, {"Retry-After": "1"})
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > most:
            return _refused(413, f"The request is longer than {most:,} bytes; send fewer or smaller Pins.")
        return None

    def _busy(self) -> JSONResponse | None:
        if self.ongoing < self.config.at_once:
            return None
        return _refused(429, f"{self.ongoing} requests are at work; ask again in a second.", {"Retry-After": "1"})

    @contextmanager
    def _counted(self, caller: str) -> Iterator[None]:
        self.callers[caller] += 1
        try:
            yield
        finally:
            self.callers[caller] -= 1
            if not self.callers[caller]:
                del self.callers[caller]


class Answer:
    """Sends the answer and keeps its status; 0: none yet."""

    def __init__(self, send: Send) -> None:
        self.send, self.status = send, 0

    async def __call__(self, message: AsgiMessage) -> None:
        self.status = message.get("status", self.status)
        await self.send(message)


def _refused(status: int, says: str, headers: dict[str, Any] | None = None) -> JSONResponse:
    return JSONResponse({"error": says}, status, headers)
