"""Reads a request's body within limits: of its own length, and of all bodies that are held at the same time."""

from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]


class BodyRefused(Exception):
    def __init__(self, status: int, says: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(says)
        self.status, self.headers = status, headers


class HeldBytes:
    """Counts the bytes of all bodies in memory."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0

    @contextmanager
    def of_one(self) -> Iterator[Callable[[int], None]]:
        """Yields what counts bytes of one body, until the block ends; it raises BodyRefused where there is no room."""
        mine = 0

        def more(count: int) -> None:
            nonlocal mine
            if self.held + count > self.most:
                raise BodyRefused(429, "The service holds too many large requests; ask again.", {"Retry-After": "1"})
            mine += count
            self.held += count

        try:
            yield more
        finally:
            self.held -= mine


@dataclass(frozen=True)
class Body:
    data: bytes

    def then(self, receive: Receive) -> Receive:
        """Gives the body in one message, then what follows it."""
        left = [self.data]

        async def next_message() -> AsgiMessage:
            return {"type": "http.request", "body": left.pop(), "more_body": False} if left else await receive()

        return next_message


async def read_body(receive: Receive, most: int, count: Callable[[int], None]) -> Body | None:
    """The whole body; None if the caller went away first.

    Raises:
        BodyRefused: 413, it is longer than `most` bytes; or what `count` raises.
    """
    pieces, read = list[bytes](), 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        piece = message.get("body", b"")
        read += len(piece)
        if read > most:
            raise BodyRefused(413, f"The request is longer than {most:,} bytes; send fewer or smaller Pins.")
        count(len(piece))
        pieces.append(piece)
        if not message.get("more_body", False):
            return Body(b"".join(pieces))
