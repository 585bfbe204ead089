"""Checks a request before its route: the token, the number of requests at work, the length of the body, the time limit.

It is an ASGI middleware of its own, because Starlette's for functions needs a task for each request and reads whole
bodies.
"""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from serving.service.config import ServiceConfig
from serving.service.metrics import ServiceMetrics

AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
Send = Callable[[AsgiMessage], Awaitable[None]]
PROTECTED = "/v1/"  # the page, health and metrics need no token


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
        self.ongoing, self.closing = 0, False
        self._expected = f"Bearer {config.token}".encode()

    async def __call__(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].startswith(PROTECTED):
            await self._guarded(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def drained(self) -> None:
        """Accepts no more requests and returns when all accepted ones are answered."""
        self.closing = True
        while self.ongoing:
            await asyncio.sleep(0.02)

    async def _guarded(self, scope: AsgiMessage, receive: Receive, send: Send) -> None:
        answer, started = Answer(send), time.perf_counter()
        if refusal := self._refusal(dict(scope["headers"])):
            await refusal(scope, receive, answer)
        else:
            await self._counted(scope, Body(receive, self.config.max_bytes), answer)
        route = getattr(scope.get("route"), "path", "refused")
        self.metrics.requests.labels(scope["method"], route, str(answer.status)).inc()
        self.metrics.seconds.labels(route).observe(time.perf_counter() - started)

    async def _counted(self, scope: AsgiMessage, receive: Receive, answer: "Answer") -> None:
        self.ongoing += 1
        self.metrics.ongoing.set(self.ongoing)
        try:
            async with asyncio.timeout(self.config.seconds):
                await self.app(scope, receive, answer)
        except TimeoutError:
            if not answer.status:
                refused = _refused(504, f"No answer within {self.config.seconds:g} s; ask again with fewer Pins.")
                await refused(scope, receive, answer)
        finally:
            self.ongoing -= 1
            self.metrics.ongoing.set(self.ongoing)

    def _refusal(self, headers: dict[bytes, bytes]) -> JSONResponse | None:
        if self.config.token and not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            says = "Send the service's token: Authorization: Bearer <token>."
            return _refused(401, says, {"WWW-Authenticate": "Bearer"})
        if self.closing:
            return _refused(503, "The service is stopping; ask another.", {"Retry-After": "5"})
        if waits := self.waits_for():
            return _refused(503, waits, {"Retry-After": "10"})
        if self.ongoing >= self.config.at_once:
            return _refused(429, f"{self.ongoing} requests are at work; ask again in a second.", {"Retry-After": "1"})
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.config.max_bytes:
            return _refused(413, _too_long(self.config.max_bytes))
        return None


class Body:
    """Limits the body's length; a body without a stated length is counted as it arrives."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.receive, self.most, self.read = receive, most, 0

    async def __call__(self) -> AsgiMessage:
        message = await self.receive()
        self.read += len(message.get("body", b""))
        if self.read > self.most:
            raise HTTPException(413, _too_long(self.most))
        return message


class Answer:
    """Sends the answer and keeps its status; 0: none yet."""

    def __init__(self, send: Send) -> None:
        self.send, self.status = send, 0

    async def __call__(self, message: AsgiMessage) -> None:
        self.status = message.get("status", self.status)
        await self.send(message)


def _refused(status: int, says: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": says}, status, headers)


def _too_long(most: int) -> str:
    return f"The request is longer than {most:,} bytes; send fewer or smaller Pins."
